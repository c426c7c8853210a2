// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

// Package compat proves the AWS wire with clients that nobody here wrote: aws-sdk-go-v2, the AWS CLI, boto3, the AWS SDK
// for JavaScript, and a CBOR client in the shape of the Java SDK; with records as the KPL packs them; and with the
// sequences of calls that the KCL and Terraform make. They run against the leat binary, which is built once.
//
// A client fails here where it would fail for a user: a test asks what the client returns, never what the wire carries,
// but for the CBOR client, which has no library.
//
// docs/compat.md says which client tests which operation; a test holds it against the sources here.
package compat
