// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package broker_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/server/broker"
	"github.com/leatstream/leat/server/catalog"
)

func TestListScaleEvents(t *testing.T) {
	r := newRig(t, broker.LimitsOff)
	_, err := r.CreateStream(t.Context(), who, broker.CreateStreamRequest{Stream: "s"})
	r.must(err)
	r.stream("other", 1)
	r.settle()
	streams := r.OnDemandStreams()
	if len(streams) != 1 || streams[0].Name != "s" {
		t.Fatalf("in on-demand mode: %+v", streams)
	}
	st := streams[0]
	// The shards of this rig belong to nobody: to the zero session.
	r.must(r.ScaleOnDemand(t.Context(), st, leat.SessionID{}, []catalog.ScaleDecision{{Step: catalog.Split(2, leat.SplitEvenly(4)[2].Middle()), Reason: "hot"}}))
	r.settle()
	for n := range 4 {
		r.clock.Advance(time.Second)
		r.must(r.HoldScaling(t.Context(), st.ID, uint64(n), fmt.Sprint("because ", n)))
	}
	var got []string
	var token string
	for pages := 1; ; pages++ {
		res, err := r.ListScaleEvents(t.Context(), who, broker.ListScaleEventsRequest{Stream: "s", PageSize: 2, PageToken: token})
		r.must(err)
		for _, e := range res.Events {
			got = append(got, fmt.Sprint(e.Action, e.Shards, e.Reason))
		}
		if token = res.NextPageToken; token == "" {
			if pages != 3 {
				t.Errorf("%d pages of 5 events by twos", pages)
			}
			break
		}
	}
	want := fmt.Sprint([]string{
		"hold[shardId-000000000003]because 3", "hold[shardId-000000000002]because 2", "hold[shardId-000000000001]because 1", "hold[shardId-000000000000]because 0",
		"split[shardId-000000000002]hot",
	})
	if fmt.Sprint(got) != want {
		t.Errorf("events\n%v\nwant\n%v", got, want)
	}
	_, err = r.ListScaleEvents(t.Context(), who, broker.ListScaleEventsRequest{Stream: "nope"})
	r.wantKind(err, leat.KindNotFound, "")
	_, err = r.ListScaleEvents(t.Context(), who, broker.ListScaleEventsRequest{Stream: "s", PageSize: -1})
	r.wantKind(err, leat.KindInvalidArgument, "page_size")
	first, err := r.ListScaleEvents(t.Context(), who, broker.ListScaleEventsRequest{Stream: "s", PageSize: 1})
	r.must(err)
	_, err = r.ListScaleEvents(t.Context(), who, broker.ListScaleEventsRequest{Stream: "other", PageToken: first.NextPageToken})
	r.wantKind(err, leat.KindInvalidArgument, "page_token")
	_, err = r.ListScaleEvents(t.Context(), leat.Principal{Account: "999999999999"}, broker.ListScaleEventsRequest{Stream: "arn:aws:kinesis:eu-west-1:" + leat.DevAccount + ":stream/s"})
	r.wantKind(err, leat.KindAccessDenied, "")
}

// TestLimitsFollowTheMode: the limits of a shard hold in provisioned mode and in no other, from the moment at which the
// mode is changed.
func TestLimitsFollowTheMode(t *testing.T) {
	r := newRig(t, broker.LimitsAWS)
	d := r.stream("s", 1)
	refused := func() (n int) {
		t.Helper()
		r.clock.Advance(10 * time.Second) // all that was spent is there again
		for range 3 {
			failed, err := r.PutRecords(t.Context(), who, broker.PutRecordsRequest{Stream: "s", Puts: puts(500, 10, "k")})
			r.must(err)
			n += failed
		}
		return n
	}
	set := func(m leat.StreamMode) {
		t.Helper()
		_, err := r.UpdateStream(t.Context(), who, broker.UpdateStreamRequest{Stream: "s", Mode: &m})
		r.must(err)
		r.settle()
	}
	if n := refused(); n != 500 {
		t.Errorf("provisioned: %d records of 1500 at once were refused", n)
	}
	set(leat.ModeOnDemand)
	if n := refused(); n != 0 {
		t.Errorf("on demand: %d records were refused", n)
	}
	if on := r.OnDemandStreams(); len(on) != 1 || on[0].ID != d.ID {
		t.Errorf("streams in on-demand mode: %+v", on)
	}
	set(leat.ModeProvisioned)
	if n := refused(); n != 500 {
		t.Errorf("provisioned again: %d records of 1500 at once were refused", n)
	}
	if on := r.OnDemandStreams(); len(on) != 0 {
		t.Errorf("streams in on-demand mode: %+v", on)
	}
}
