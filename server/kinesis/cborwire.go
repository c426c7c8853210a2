// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package kinesis

import (
	"errors"

	"github.com/fxamacker/cbor/v2"
)

// cborWire is application/x-amz-cbor-1.1.
type cborWire struct{}

func (cborWire) contentType() string { return contentCBOR }

func (cborWire) writer(b []byte) writer { return writer{b: b, cbor: true} }

// cborReader refuses what cannot be meant: names that come twice, strings that are not UTF-8, deep nesting.
func cborReader() (cbor.DecMode, error) {
	return cbor.DecOptions{
		DupMapKey: cbor.DupMapKeyEnforcedAPF, MaxNestedLevels: maxDepth, FieldNameMatching: cbor.FieldNameMatchingCaseSensitive,
		UTF8: cbor.UTF8RejectInvalid,
	}.DecMode()
}

// decode reads one map and nothing after it.
func (cborWire) decode(body []byte, in any) error {
	mode, err := cborReader()
	if err != nil {
		return err
	}
	// A body that is a null, or a tagged or indefinite map, is left to the decoder to judge.
	if err := mode.Unmarshal(body, in); err != nil {
		return serialization(cborFault(err))
	}
	return nil
}

// cborFault words an error of the decoder for the caller.
func cborFault(err error) string {
	var clash *cbor.UnmarshalTypeError
	var twice *cbor.DupMapKeyError
	var extra *cbor.ExtraneousDataError
	switch {
	case errors.As(err, &clash):
		return "a value of CBOR type " + clash.CBORType + " stands where it is not expected"
	case errors.As(err, &twice):
		return "a member comes twice"
	case errors.As(err, &extra):
		return "the request's body goes on after its end"
	}
	return "the request's body is not valid CBOR"
}

func (cborWire) append(b []byte, out any) ([]byte, error) {
	raw, err := cbor.Marshal(out)
	return append(b, raw...), err
}

func (w cborWire) appendError(b []byte, e *awsError) []byte {
	out, err := w.append(b, e.Body())
	if err != nil {
		return b // a map of strings is always encoded
	}
	return out
}
