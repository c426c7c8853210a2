// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package web

import (
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/billing"
)

// estimation is what a stream would cost in a month.
type estimation struct {
	Here, AWS        billing.Invoice
	Rate, Size       int64
	Error, Mode      string
	Shards, Readers  int64
	Retention        time.Duration
	OnDemand, Priced bool
}

// maxEstimate bounds each number of an estimate.
const maxEstimate = 1 << 30

// estimate is a part of the forms of streams, and a page for those without script: what the stream would cost in the present
// month, here and at AWS.
func (c *Console) estimate(w http.ResponseWriter, r *http.Request, s *session) error {
	q := r.URL.Query()
	read := func(otherwise int64, names ...string) (int64, error) {
		for _, name := range names {
			text := strings.TrimSpace(q.Get(name))
			if text == "" {
				continue
			}
			n, err := strconv.ParseInt(text, 10, 64)
			if err != nil || n < 0 || n > maxEstimate {
				return 0, leat.Invalid(name, "%.40q is not a whole number.", text)
			}
			return n, nil
		}
		return otherwise, nil
	}
	e := estimation{Mode: q.Get("mode"), OnDemand: q.Get("mode") == string(leat.ModeOnDemand)}
	var hours int64
	var err error
	for _, v := range []struct {
		to        *int64
		otherwise int64
		names     []string
	}{{&e.Rate, 100, []string{"rate"}}, {&e.Size, 1024, []string{"size"}}, {&e.Shards, 4, []string{"shards", "target"}}, {&e.Readers, 1, []string{"readers"}}, {&hours, 24, []string{"retention"}}} {
		if *v.to, err = read(v.otherwise, v.names...); err != nil {
			break
		}
	}
	e.Retention = time.Duration(hours) * time.Hour
	if err == nil && (hours > 10*8760 || e.Rate > 1e6 || e.Size > 10<<20 || e.Shards > 1e5 || e.Readers > 1000) {
		err = leat.Invalid("rate", "An estimate is of up to a million records of 10 MiB a second, 100,000 shards and a thousand readers.")
	}
	if err == nil {
		load := billing.Load{Mode: leat.ModeProvisioned, Shards: int(e.Shards), RecordsPerSecond: e.Rate, RecordBytes: e.Size, Retention: e.Retention, Readers: int(e.Readers)}
		if e.OnDemand {
			load.Mode = leat.ModeOnDemand
			load.Shards = max(4, int(load.RecordsPerSecond/leat.ShardRecordsIn)+1, int(load.RecordsPerSecond*load.RecordBytes/leat.ShardBytesIn)+1)
			e.Shards = int64(load.Shards)
		}
		if e.Here, err = c.Broker.EstimateCost(r.Context(), s.who, "", load); err == nil {
			e.AWS, err = c.Broker.EstimateCost(r.Context(), s.who, "aws-kinesis", load)
		}
		e.Priced = err == nil
	}
	status := http.StatusOK
	if err != nil {
		if leat.KindOf(err) != leat.KindInvalidArgument {
			return err
		}
		if e.Error = told(err); !fragment(r) { // script does not show what is no success
			status = http.StatusBadRequest
		}
	}
	c.show(w, r, s, status, "estimate", &page{Title: "Estimate", Nav: "usage", Crumbs: []crumb{{"Streams", Root + "/streams"}}, Body: e})
	return nil
}
