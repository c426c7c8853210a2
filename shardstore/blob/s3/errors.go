// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package s3

import (
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/minio/minio-go/v7"
)

// maxMessage bounds what is quoted from a store, in bytes.
const maxMessage = 200

// answer returns what the store said, if err is an answer of a store.
func answer(err error) (minio.ErrorResponse, bool) {
	var r minio.ErrorResponse
	ok := errors.As(err, &r)
	return r, ok
}

// status is the HTTP status of an error, 0 if there was no answer.
func status(err error) int {
	r, _ := answer(err)
	return r.StatusCode
}

// isNoSuchKey says whether a store itself said that the object is missing.
// minio-go makes up NoSuchKey for each 404 without a body that it understands;
// only one that was parsed has the name of its element.
func isNoSuchKey(err error) bool {
	r, ok := answer(err)
	return ok && r.StatusCode == http.StatusNotFound && r.Code == minio.NoSuchKey && r.XMLName.Local == "Error"
}

// fail says in one line what went wrong with a call whose outcome is unknown.
func (s *Store) fail(op, key string, err error) error {
	r, ok := answer(err)
	if !ok {
		return fmt.Errorf("s3: %s %s: %w", op, key, err)
	}
	message := strings.Join(strings.Fields(r.Error()), " ")
	if len(message) > maxMessage {
		message = message[:maxMessage] + "…"
	}
	if r.StatusCode == http.StatusNotFound {
		message += " (bucket " + s.bucket + " at " + s.endpoint + ")"
	}
	if s.secret != "" {
		message = strings.ReplaceAll(message, s.secret, "[secret]")
	}
	if r.RequestID != "" {
		message += ", request " + r.RequestID
	}
	return fmt.Errorf("s3: %s %s: status %d %s: %s", op, key, r.StatusCode, r.Code, message)
}
