// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

// Package clients tests the clients for other languages (api/python, api/typescript): that their generated code fits
// the protos, and that it loads with what Debian and npm give.
//
// It owns no client: the Go client is tested beside its code.
package clients
