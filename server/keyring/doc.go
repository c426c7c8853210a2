// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

// Package keyring has the keys that seal streams' records: it makes them, keeps them in the bucket wrapped under the master
// key, has those that are in use in memory, and destroys those of streams that are deleted.
//
// It does not own: the master key (server/masterkey), when a stream gets which key (server/broker), when a stream is gone
// (server/catalog), how keys seal (shardstore/segment).
//
// # Objects
//
//	keys/<stream>/<key>    the key, wrapped under the master key (server/masterkey draws it)
//	keys/<stream>/erased   JSON: the stream's keys were destroyed, or are about to be
//
// A wrapped key is in its object and nowhere else. Database and journal have its name alone, so their backups, their log
// and what they keep of deleted rows open nothing.
//
// # The life of a key
//
//	1 written    the object stands, and was read back. Nobody knows of the key but who makes it
//	2 named      StartEncryption has committed, and is in the journal
//	3 used       sessions seal records with it
//	4 condemned  BeginDelete has committed, and is in the journal: the stream is DELETING and never anything else again
//	5 unneeded   the stream's shards, extents and what closed sessions hold of it have left the catalog
//	6 sentenced  the object "erased" stands
//	7 destroyed  no other object of the stream stands, nor any former version of one
//	8 forgotten  the stream's last row has left the catalog, and the journal says so; each node that hears of it drops the
//	             key from memory (forgetAfter, and as long as it takes to hear)
//
// Each step begins when the one before it is durable. Who dies between two leaves what the next one goes on from:
//
//	after 1  an object that seals nothing. It goes with its stream
//	in 2, 4  the outcome is what the journal says (server/journal)
//	after 4  the stream is DELETING: whoever leads takes it out, from step 5 on, again. Each step of it may be repeated
//	in 7     "erased" stands: Destroy goes on. On a disk a deletion may be undone by a crash, in a bucket a write that was
//	         given up may arrive late: Tidy destroys what it finds beside an "erased"
//
// Invariants:
//
//   - No record is sealed with a key whose object was not durable before (1 before 2 before 3).
//   - A key is destroyed only beside an "erased", and that is written only of a stream that the catalog, and so the journal,
//     has as DELETING: no record that anybody may still read is lost with it. That a stream is not in the catalog is never a
//     reason to destroy anything.
//   - An object is changed only to be wrapped under another master key, in one step, and holds the same secret before and
//     after. No two are ever there for one key, so that two servers with other ideas of which master key is the first never
//     delete each other's.
//   - A secret is never stored or logged but wrapped.
//   - A key that is known stays known until its stream is gone, so that catalog and bucket may go away (static stability).
//   - For a stream of which it is not known whether it is encrypted there is an error, not "no key".
//
// # Keys of former versions
//
// stream_keys and the journal had the wrapped keys themselves. Load writes their objects. Tidy, at the leader, when the last session
// of such a version has ended a day ago, so that nobody goes back to it any more, takes them out of the catalog and then out of the journal's old entries, each of which it
// replaces by the same without keys (server/journal, Scrub): first the object, then the row, then the entries, so that whoever
// dies in between leaves a key in two places and never in none.
package keyring
