// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

// Package cluster lives a node's part in a cluster: it recovers sessions that are over, opens sessions of its own, takes
// shards, keeps the heartbeat, and carries out what the catalog intends (new streams, reshards, deletions).
//
// # The life of a node
//
//	           ┌── another session lives ──┐
//	           ▼                           │
//	start ─▶ settle ──nothing lives──▶ open ─▶ serve ──session over──▶ settle
//	                                           │
//	                                           └──context done──▶ drain: CLOSE, catalog close
//
// settle looks at every session that is not closed. One of a dead node is moved to fencing, its log is fenced, its end is
// decided once in closed/<session> (shardstore.Recover), and the catalog closes it (data-plane.md, rules 9 to 12). A
// session counts as dead when its heartbeat did not move across this node's own successful polls for DeadAfter, when it was this very
// process's earlier session, or when this process holds the exclusive lock of the folder.
//
// A node that is alone (a local folder, or Config.Shared false) serves all shards in one session at a time: a second node
// stands by, answers Unavailable, and takes over when the first is dead.
//
// # Nodes that share the shards
//
// With Config.Shared each node opens a session beside the others:
//
//	start ─▶ open ─▶ serve ──session over──▶ recover it ─▶ open
//	                   │
//	                   └──context done──▶ drain: CLOSE, catalog close; others take its shards at once
//
// Four loops live in a session. The heart beats, and sees the revision, its peers and the leader's lease in the same
// transaction. The control loop takes unowned shards up to its fair share, opens what the catalog gave to this session,
// lets go of what is gone, runs the reshards whose parents it owns, and tells with the beat how far it is. The hand-over
// loop releases shards that are to move (rule 15). The leader's loop, which rests in all sessions but one, fences the
// silent, brings streams to rest, hands out what nobody takes, and moves shards from those who have many.
//
// What these rest on:
//   - Leadership is no matter of safety: every step of a leader is a compare-and-swap or is decided once.
//   - Silence counts only as far as this node's own successful polls cover it, and of many that are silent at once a
//     fifth is fenced before the evidence begins anew (rule 9). A silent session whose own node is there again, with a later
//     session at the same address, does not count: a whole cluster that died comes back by itself, all at once.
//   - Nobody opens a shard before the read lease of every fenced session has passed since this node saw it closed
//     (rule 13); a CLOSE or RELEASE needs no wait.
//   - A stream is ACTIVE when every shard is open at a live owner, and after a change of settings only when every session
//     that is not closed has said that it knows them. One that is deleted is removed, and its name free, only when every such
//     session has said that it knows.
//   - A shard that cannot be opened is tried again with each round, and counts as open for what others wait for: they would
//     wait for as long as what is damaged stays so.
//   - The table of owners (Owners) is advice: an owner checks every call against its engine, and the log is the judge.
//
// A new session acks nothing before the read lease of the fenced one has passed (rule 13), unless a lock or a CLOSE
// proves that it serves no more.
//
// The package does not own: the log and its recovery (shardstore), the tables (server/catalog), or any decision of an
// API (server/broker).
package cluster
