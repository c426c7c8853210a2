// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package catalog_test

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/server/catalog"
)

func TestRetentionHasADirection(t *testing.T) {
	onBoth(t, func(t *testing.T, b *bundle) {
		st := b.stream("s", 1)
		for _, c := range []struct {
			hours, direction int
			refused          string
		}{
			{24, +1, ""}, {48, +1, ""}, {48, -1, ""},
			{47, +1, "Requested retention period (47 hours) for stream s can not be shorter than existing retention period (48 hours). Use DecreaseRetentionPeriod API."},
			{49, -1, "Requested retention period (49 hours) for stream s can not be longer than existing retention period (48 hours). Use IncreaseRetentionPeriod API."},
			{24, -1, ""}, {72, 0, ""}, {30, 0, ""},
		} {
			d := time.Duration(c.hours) * time.Hour
			s, err := b.UpdateStream(t.Context(), st.ID, catalog.StreamUpdate{Retention: &d, Direction: c.direction})
			if c.refused != "" {
				b.want(err, leat.KindInvalidArgument, c.refused)
				continue
			}
			if err != nil || s.Retention != d {
				t.Errorf("%+v: %v, %v", c, s.Retention, err)
			}
		}
	})
}

func TestSettingsAreStored(t *testing.T) {
	onBoth(t, func(t *testing.T, b *bundle) {
		ctx := t.Context()
		made := spec("s", 2)
		made.Mode, made.WarmThroughput = leat.ModeOnDemand, 2
		st, err := b.CreateStream(ctx, made)
		b.must(err)
		b.must(b.ActivateStream(ctx, st.ID))
		check := func(want leat.Stream, err error) {
			t.Helper()
			b.must(err)
			got, err := b.StreamByID(ctx, st.ID)
			b.must(err)
			ch, err := b.Changes(ctx, want.Version-1)
			b.must(err)
			if !got.Equal(&want) || len(ch.Streams) != 1 || !ch.Streams[0].Equal(&want) {
				t.Errorf("returned %+v, stored %+v, changed %+v", want, got, ch.Streams)
			}
		}
		bytes, records := leat.MetricIncomingBytes, leat.MetricIncomingRecords
		b.link.cut("a-")
		before, s, err := b.SetMonitoring(ctx, st.ID, []leat.ShardMetric{bytes, records}, nil)
		check(s, err)
		if len(before) != 0 || !slices.Equal(s.Monitoring, []leat.ShardMetric{bytes, records}) {
			t.Errorf("monitoring was %v and is %v", before, s.Monitoring)
		}
		before, s, err = b.SetMonitoring(ctx, st.ID, []leat.ShardMetric{leat.MetricReadExceeded, records}, []leat.ShardMetric{bytes, leat.MetricWriteExceeded})
		check(s, err)
		if !slices.Equal(before, []leat.ShardMetric{bytes, records}) || !slices.Equal(s.Monitoring, []leat.ShardMetric{records, leat.MetricReadExceeded}) {
			t.Errorf("monitoring was %v and is %v", before, s.Monitoring)
		}

		warm := func(n int) (leat.Stream, error) {
			return b.UpdateStream(ctx, st.ID, catalog.StreamUpdate{WarmThroughput: &n})
		}
		s, err = warm(1)
		check(s, err)
		if s.WarmThroughput != 1 || s.Status != leat.StreamActive {
			t.Errorf("less than there is: %+v", s)
		}
		s, err = warm(5)
		check(s, err)
		if s.WarmThroughput != 5 || s.Status != leat.StreamUpdating || s.TargetShards != 5 {
			t.Errorf("more than there is: %+v", s)
		}
		provisioned := leat.ModeProvisioned
		s, err = b.UpdateStream(ctx, st.ID, catalog.StreamUpdate{Mode: &provisioned})
		check(s, err)
		if s.WarmThroughput != 0 {
			t.Errorf("a provisioned stream keeps %d MiB/s", s.WarmThroughput)
		}
		_, err = warm(1)
		b.want(err, leat.KindInvalidArgument, "")
		b.must(b.BeginDelete(ctx, st.ID, true))
		_, _, err = b.SetMonitoring(ctx, st.ID, nil, []leat.ShardMetric{records})
		b.want(err, leat.KindInUse, "")
	})
}

// What SetTargetShards asks counts its own calls of the last 24 hours, also those that were not asked about.
func TestScaleCalls(t *testing.T) {
	onBoth(t, func(t *testing.T, b *bundle) {
		ctx := t.Context()
		st := b.stream("s", 2)
		var open, calls int
		refusal := errors.New("no")
		scale := func(answer error) error {
			_, err := b.SetTargetShards(ctx, st.ID, 2, func(o, c int) error { open, calls = o, c; return answer })
			if err == nil {
				b.must(b.ClearTarget(ctx, st.ID))
			}
			return err
		}
		for i := range 3 {
			b.must(scale(nil))
			if open != 2 || calls != i {
				t.Errorf("call %d is asked about with %d open shards and %d calls", i, open, calls)
			}
			b.clock.advance(8 * time.Hour)
		}
		if err := scale(refusal); !errors.Is(err, refusal) || calls != 2 {
			t.Errorf("after 24 hours: %d calls, %v", calls, err)
		}
		s, err := b.StreamByID(ctx, st.ID)
		b.must(err)
		if s.Status != leat.StreamActive {
			t.Errorf("a refused scaling made the stream %s", s.Status)
		}
		_, err = b.SetTargetShards(ctx, st.ID, 2, nil)
		b.must(err)
		b.must(b.ClearTarget(ctx, st.ID))
		if err := scale(nil); err != nil || calls != 3 {
			t.Errorf("%d calls: a refused one was counted, or one that was not asked about was not; %v", calls, err)
		}
	})
}

// A consumer's ARN names one life of it.
func TestConsumerOfAnARN(t *testing.T) {
	onBoth(t, func(t *testing.T, b *bundle) {
		st := b.stream("s", 1)
		old := b.consumer(st.ID, "c", nil)
		b.must(b.DeregisterConsumer(t.Context(), st.ID, "c", old.Created.Unix()))
		b.clock.advance(time.Second)
		b.consumer(st.ID, "c", nil)
		b.want(b.DeregisterConsumer(t.Context(), st.ID, "c", old.Created.Unix()), leat.KindNotFound, "Consumer c not found.")
		_, err := b.RegisterConsumer(t.Context(), catalog.NewConsumer{Stream: st.ID, Name: "d", Active: b.clock.now, Most: 1})
		b.want(err, leat.KindLimitExceeded, "")
		if n := b.count("consumers", st.ID); n != 1 {
			t.Errorf("%d consumers", n)
		}
	})
}
