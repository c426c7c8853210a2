// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package shardstore

// EncodeClosing shows encodeClosing to tests.
func EncodeClosing(c Closing) ([]byte, error) { return encodeClosing(c) }

// DecodeClosing shows decodeClosing to tests.
func DecodeClosing(b []byte) (Closing, error) { return decodeClosing(b) }

// SealClosing puts the right first line before any body.
func SealClosing(body []byte) []byte { return sealClosing(body) }
