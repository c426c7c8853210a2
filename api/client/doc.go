// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

// Package client is the Go client of Leat's native API: a connection, a batching producer, and a reader that follows a
// stream through splits and merges.
//
//	c, err := client.Dial("")                            // LEAT_ENDPOINT, or 127.0.0.1:4568
//	p, err := client.NewProducer(c, "orders", client.ProducerOptions{})
//	ack, err := p.Put(ctx, "customer-7", []byte("…"))    // batched with others
//	placed, err := ack.Wait(ctx)                         // durable
//	r, err := client.NewReader(c, "orders", client.TrimHorizon(), client.ReaderOptions{})
//	for rec, err := range r.All(ctx) { … }
//
// Every call of the API is in reach as a generated client: Client.Streams, Shards, Records, Consumers, Resources,
// Account, Keys and System.
//
// Every error is a *leat.Error: decide by leat.KindOf. A write whose fate is not known is KindUnknownOutcome and never
// looks like one that was certainly not executed. The gRPC status stays in the chain.
//
// Invariants: a record is acknowledged to the caller only when the server acknowledged it, or when it was found in the
// stream; records of one partition key are sent in the order of Put; a shard's records are returned in order, and a
// child's after its parents'.
package client
