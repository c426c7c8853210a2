// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package web

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"time"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/server/broker"
)

// sampleStream is what the empty console offers to make.
const (
	sampleStream = "sample-orders"
	sampleLasts  = 2 * time.Minute
	sampleEvery  = 250 * time.Millisecond
	samplePuts   = 12
)

// makeSample makes a stream with two shards and lets orders flow into it for a while, so that there is something to see.
func (c *Console) makeSample(w http.ResponseWriter, r *http.Request, s *session) error {
	_, err := c.Broker.CreateStream(r.Context(), s.who, broker.CreateStreamRequest{
		Stream: sampleStream, Shards: 2, Mode: leat.ModeProvisioned, Tags: map[string]string{"made-by": "console"},
	})
	if err != nil && leat.KindOf(err) != leat.KindInUse {
		return err
	}
	if err := c.untilActive(r.Context(), s.who, sampleStream); err != nil {
		return err
	}
	if err := c.putOrders(r.Context(), s.who, 200); err != nil {
		return err
	}
	ctx, cancel := c.outlive(sampleLasts)
	c.work.Go(func() {
		defer cancel()
		if err := c.flowOrders(ctx, s.who); err != nil && ctx.Err() == nil {
			c.Logger.Info("console: the sample stream's orders end", "error", err)
		}
	})
	http.Redirect(w, r, streamPath(sampleStream)+"?done=sample", http.StatusSeeOther)
	return nil
}

func (c *Console) flowOrders(ctx context.Context, who leat.Principal) error {
	for {
		tick, stop := c.Clock.NewTimer(sampleEvery)
		select {
		case <-tick:
		case <-ctx.Done():
			stop()
			return nil
		}
		if err := c.putOrders(ctx, who, samplePuts); err != nil {
			return err
		}
	}
}

func (c *Console) putOrders(ctx context.Context, who leat.Principal, n int) error {
	puts := make([]broker.Put, n)
	for i := range puts {
		customer := fmt.Sprintf("customer-%03d", rand.IntN(400))
		if rand.IntN(5) == 0 {
			customer = "customer-007" // one that is hot
		}
		data, err := json.Marshal(sampleOrder(customer, c.Clock.Now()))
		if err != nil {
			return err
		}
		puts[i].Record = leat.Record{PartitionKey: customer, Data: data}
	}
	_, err := c.Broker.PutRecords(ctx, who, broker.PutRecordsRequest{Stream: sampleStream, Puts: puts})
	return err
}

type order struct {
	Order    string    `json:"order"`
	Customer string    `json:"customer"`
	Status   string    `json:"status"`
	Items    []item    `json:"items"`
	Total    float64   `json:"total"`
	Currency string    `json:"currency"`
	Country  string    `json:"country"`
	At       time.Time `json:"at"`
}

type item struct {
	SKU      string  `json:"sku"`
	Quantity int     `json:"quantity"`
	Price    float64 `json:"price"`
}

func sampleOrder(customer string, now time.Time) order {
	pick := func(words ...string) string { return words[rand.IntN(len(words))] }
	o := order{
		Order: fmt.Sprintf("ord_%010x", rand.Uint64()>>24), Customer: customer, Currency: "EUR", At: now.UTC().Truncate(time.Millisecond),
		Status: pick("placed", "placed", "paid", "shipped", "refunded"), Country: pick("DE", "FR", "NL", "ES", "IT", "PL"),
	}
	for range 1 + rand.IntN(3) {
		it := item{SKU: fmt.Sprintf("SKU-%04d", rand.IntN(2000)), Quantity: 1 + rand.IntN(4), Price: float64(199+rand.IntN(9000)) / 100}
		o.Items = append(o.Items, it)
		o.Total += float64(it.Quantity) * it.Price
	}
	o.Total = float64(int(o.Total*100+0.5)) / 100
	return o
}
