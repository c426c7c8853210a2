// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

// Package wal is the session log of one node: it makes segments durable in order, ends a session that is over with a
// fence, and finds again what such a session held. It follows the rules of data-plane.md, named here by number.
//
// # Parts
//
// A Writer owns one live session. Its decisions are a state machine without I/O (machine.go): pending bytes, answers of
// the medium and the time go in, actions come out. Around it writer.go does what the actions say. A Driver is the
// medium: Objects keeps a segment in one object, Files appends it to a file in a local folder.
//
//	Source ──Notify(bytes)──▶ Writer ──Take(n)──▶ Source        encode on a goroutine of its own
//	                            │ Write, Verify                  up to K at once, same bytes at each try
//	                            ▼
//	                          Driver
//	                            │ durable | unknown | fenced | failed
//	                            ▼
//	Source ◀──Durable(n)── Writer                                in order, with all earlier ones
//
// # Group commit (rule 4)
//
// Nothing in flight: what is pending is sent at once, so a lone record waits for nothing but the medium. With a segment
// in flight the next records gather; they are sent when any slot frees, when they fill a segment, or when the oldest has
// lingered, whichever is first. So at low load a record waits at most for one other write, on a slow store at most the
// linger, and under load segments are full and K of them are under way. Segments that are not full each take a token
// (Params.PutsPerSecond, Params.Burst); full ones take none. Without a token they keep gathering: their number costs
// money, their size does not. A local folder has K = 1, no linger and no cap: each commit takes whatever gathered during
// the last one, and after a small one waits a moment for those whose acks it brought (Params.Gather): at most as long as
// that commit took, and until half of them are back.
//
// A slot is free when its segment is durable, even if an earlier one is not; but no segment is begun WindowSize or more
// beyond the first that is not durable, because recovery takes an object that far ahead for proof of a stale catalog.
//
// # Invariants
//
//   - Segment n is one frozen buffer; every try sends that buffer to that place; no n is skipped (rule 1).
//   - A foreign object, or none, where the store says that one stands, ends the session (rule 2).
//   - Durable(n) is called when n and all earlier segments are durable, in order (rule 3, I3).
//   - Whatever a Writer told to be durable lies below the fence that Recover returns (I4).
//   - The lease is counted from before the first try of a segment, or before a probe was sent (rule 13, I13).
//   - When Run has returned nothing is told durable any more and nothing is leased.
//
// The package does not own: bytes of segments (segment), what is in them (shardstore), closed/<session> and who may call
// Recover (shardstore, server/cluster), nor when a segment may be removed (rules 6, 7 and 12).
package wal
