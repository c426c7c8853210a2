// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package console_test

import (
	"context"
	"errors"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	leatv1 "github.com/leatstream/leat/api/leat/v1"
	"github.com/leatstream/leat/test/e2e/rig"
)

// Of a stream whose shards two nodes share, both show all: what is put by way of one of them, and who subscribes at the other.
func TestWholeCluster(t *testing.T) {
	backend := rig.SharedBackend(t)
	c := rig.NewCluster(t, backend, 2)
	c.Start(t)
	w := &world{client: c.Client(0)}
	w.create(t, "orders", 4)
	c.AwaitBalance(t, 2, 1, patience)
	ctx, cancel := context.WithTimeout(t.Context(), 2*patience)
	defer cancel()
	if _, err := w.client.Consumers.RegisterStreamConsumer(ctx, &leatv1.RegisterStreamConsumerRequest{Stream: "orders", Consumer: "billing"}); err != nil {
		t.Fatal(err)
	}
	w.flow(t, "orders", 40, 100*time.Millisecond)
	var subscriber sync.WaitGroup
	subscriber.Go(func() { // until the test ends
		pause := time.NewTicker(20 * time.Millisecond)
		defer pause.Stop()
		for ; ctx.Err() == nil; <-pause.C {
			sub, err := c.Client(1).Records.SubscribeToShard(ctx, &leatv1.SubscribeToShardRequest{
				Stream: "orders", Consumer: "billing", ShardId: "0", Start: &leatv1.StartingPosition{Type: leatv1.StartingPositionType_STARTING_POSITION_TYPE_LATEST},
			})
			for err == nil {
				_, err = sub.Recv()
			}
		}
	})
	defer subscriber.Wait()
	defer cancel()
	for i := range 2 {
		v := newVisitor(t, "http://"+c.Nodes[i].HTTP)
		v.ask("POST", "/console/signin", url.Values{"bearer": {backend.Token}}).is(t, 200, "orders")
		rig.Eventually(t, patience, "the load of every shard is shown", func() error {
			p := v.get("/console/streams/orders/shards")
			p.is(t, 200, "4 open shards by hash range")
			for _, no := range []string{"were used since their nodes started", "not answer"} {
				if strings.Contains(p.body, no) {
					return errors.New("the page says: " + no)
				}
			}
			return nil
		})
		v.until("/console/streams/orders/consumers", "<b>1</b>")
	}
}
