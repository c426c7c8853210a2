// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package auth

import (
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"net/http"

	"github.com/leatstream/leat"
)

// SignatureError is why a signed request was refused, as AWS says it. Its text is for the caller and holds neither
// secrets nor what was signed.
type SignatureError struct {
	Type    string // AWS's name of the exception, such as InvalidSignatureException
	Message string
	Status  int // of HTTP

	key leat.AccessKey // that it was about, where there is one
}

// Error returns type and message.
func (e *SignatureError) Error() string { return e.Type + ": " + e.Message }

// The types of AWS. Kinesis answers each with status 400.
const (
	typeMissing      = "MissingAuthenticationTokenException"
	typeIncomplete   = "IncompleteSignatureException"
	typeInvalid      = "InvalidSignatureException"
	typeUnrecognized = "UnrecognizedClientException"
	typeDenied       = "AccessDeniedException"
	typeUnavailable  = "ServiceUnavailable"
)

func refuse(typ, message string) error {
	return &SignatureError{Type: typ, Message: message, Status: http.StatusBadRequest}
}

func errMismatch() error {
	return refuse(typeInvalid, "The request signature we calculated does not match the signature you provided. Check your AWS Secret Access Key and signing method. Consult the service documentation for details.")
}

func errUnknownKey() error {
	return refuse(typeUnrecognized, "The security token included in the request is invalid.")
}

// errKeysAway tells a client to try again: whether its key is known cannot be said now.
func errKeysAway() error {
	return &SignatureError{Type: typeUnavailable, Message: "Access keys cannot be looked up now: try again.", Status: http.StatusServiceUnavailable}
}

// hashed is how AWS shows a credential in an error: not at all.
func hashed(authorization string) string {
	sum := sha256.Sum256([]byte(authorization))
	return base64.StdEncoding.EncodeToString(sum[:])
}

func shown(authorization string) string {
	return "(Hashed with SHA-256 and encoded with Base64) Authorization=" + hashed(authorization)
}

// errTooManyFailures is retried by SDKs, more and more slowly.
func errTooManyFailures(err error) error {
	return &SignatureError{Type: "ThrottlingException", Message: err.Error(), Status: http.StatusBadRequest}
}

// signatureReasons are the failures among the refusals: the request did not prove who sent it, other than for a fault of ours.
var signatureReasons = map[string]string{
	typeInvalid:      "the signature is wrong or has expired",
	typeUnrecognized: "the access key is not known",
}

func isFailure(err error) bool {
	var s *SignatureError
	return errors.As(err, &s) && signatureReasons[s.Type] != ""
}

// about names the key that a refusal is about.
func about(err error, key leat.AccessKey) error {
	var s *SignatureError
	if errors.As(err, &s) {
		s.key = key
	}
	return err
}
