// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

// Package auth turns a credential into a leat.Principal.
//
// gRPC and REST: `leat dev` accepts anybody as the one account of development, and `leat serve` accepts one bootstrap
// token, sent as "authorization: Bearer <token>". The AWS wires: `leat serve` verifies AWS Signature Version 4 against
// access keys (SigV4), which are made with `leat key create` and kept in memory (KeyStore); `leat dev` accepts anybody
// here too.
//
// Invariants:
//   - Tokens and signatures are compared in constant time. Neither they nor secrets are logged, returned or kept in
//     an error.
//   - Access keys' secrets are stored under the master key alone.
//   - A node that knows a key goes on accepting it while the catalog is away.
//
// It does not own: permissions (broker.Authorizer), transports.
package auth
