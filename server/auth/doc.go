// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

// Package auth turns a credential into a leat.Principal.
//
// Today there are two ways: `leat dev` accepts anybody as the one account of development, and `leat serve` accepts one
// bootstrap token, sent as "authorization: Bearer <token>" on gRPC and REST alike.
//
// Invariant: a token is compared in constant time and never logged, returned or kept in an error.
//
// It does not own: permissions (broker.Authorizer), transports.
package auth
