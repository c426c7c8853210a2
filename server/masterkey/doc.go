// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

// Package masterkey wraps the secrets that Leat keeps in its catalog and its bucket under keys that only the operator
// holds.
//
// Invariants: neither a master key nor a wrapped secret ever stands in an error or a log; what is wrapped for one
// purpose cannot be unwrapped for another, so that rows of the catalog cannot be exchanged.
//
// It does not own: where the text of the keys comes from (a file, the environment), nor the secrets.
//
// # The file
//
//	# any comment
//	leat-master-key-1:<32 bytes in base64>
//
// The first key wraps; all of them unwrap. At its start a server wraps again what is not under the first: docs/encryption.md,
// "Changing keys", has the order in which several nodes get a new one.
//
// # A wrapped secret
//
//	leat-wrapped-1:<id of the master key>:<base64 of nonce 12 · sealed secret · tag 16>
//
// AES-256-GCM under HKDF-SHA256(master key, "leat wrap 1"), with a random nonce and the purpose as associated data. The
// id is half of HKDF-SHA256(master key, "leat id 1"), 16 hexadecimal digits: it tells nothing of the key.
package masterkey
