// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

// Package kinesis speaks the wire of AWS Kinesis Data Streams: POST / with X-Amz-Target: Kinesis_20131202.<Operation>,
// in JSON 1.1 or CBOR 1.1, over HTTP/1.1 and HTTP/2. It translates to package broker and decides nothing itself.
//
// An operation is one file: an input and an output struct, whose `json` tags name the members on both wires and whose
// `check` tags hold AWS's constraints (check.go), and one method of Handler. operations.go lists them all.
//
// A request is checked in AWS's order: content type, size, signature, operation, form of the body
// (SerializationException), constraints (ValidationException); then the broker asks for permission and meaning.
//
// PutRecord, PutRecords, GetRecords and the pushes of SubscribeToShard have codecs of their own (fast*.go, records.go),
// which read and write what the general ones would, only faster.
//
// Invariants:
//   - A malformed request changes nothing and panics nowhere.
//   - What a server's fault is about stands in the log; the caller learns the request's id.
//   - No byte of a request's body is referred to once its answer is made: bodies are read into buffers that are reused.
//
// It does not own: signatures and keys (package auth), permissions, limits and semantics (package broker).
package kinesis
