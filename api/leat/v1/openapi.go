// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

// Package leatv1 is the native API of Leat: messages, gRPC clients and servers, and the REST gateway under /v1.
//
// All but this file is generated from proto/leat/v1 by `make gen` and never edited; the comments there are the
// reference. The package owns no behaviour: server/grpcapi translates to and from the vocabulary, api/client is the
// client that retries and batches.
package leatv1

import _ "embed"

//go:embed openapi.json
var openAPI string

// OpenAPI returns the REST API's description: OpenAPI 2.0 in JSON.
func OpenAPI() string { return openAPI }
