// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

// Package authz holds the tests that walk every operation of every edge, as the protos and the tables of the wires list them,
// and show that each is refused without permission, and that no account can see or name what another has. An operation that
// is new and has no request here fails them.
package authz
