// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package fault

import (
	"context"
	"errors"
	"testing"
	"time"

	leatv1 "github.com/leatstream/leat/api/leat/v1"
	"github.com/leatstream/leat/test/e2e/rig"
)

// A call whose records fall to two owners is answered when both have answered, or one of them cannot any more. So the
// acknowledgement of a record that is durable may come seconds after the object store has stopped: how late an
// acknowledgement comes says nothing about when its record became durable, and the ledger is asked instead. The other
// owner's record, of which nobody knows, is not acknowledged.
func TestAcknowledgementIsLateNotEarly(t *testing.T) {
	t.Parallel()
	b, ledger := newBackend(t)
	c := rig.NewCluster(t, b, 2, "--shard-limits", "off")
	c.Start(t)
	rig.Must(t, c.Nodes[0].Env(), "stream", "create", mainStream, "--shards", "8")
	ids := [2]ID{{1, 0}, {2, 0}}
	req := &leatv1.PutRecordsRequest{Stream: mainStream}
	var sessions, shards [2]string
	rig.Eventually(t, rig.Patience, "each node owns a shard", func() error {
		all, err := c.Shards(t.Context(), 0, mainStream)
		var records [2]*leatv1.PutRecordsRequestEntry
		for i := range sessions {
			res, infoErr := c.Client(i).System.GetServerInfo(t.Context(), &leatv1.GetServerInfoRequest{})
			if err = errors.Join(err, infoErr); err != nil {
				return err
			}
			sessions[i] = res.GetServer().GetSessionId()
			for _, s := range all {
				if s.GetOwnerSessionId() == sessions[i] {
					hash := s.GetHashKeyRange().GetStartingHashKey()
					shards[i] = s.GetShardId()
					records[i] = &leatv1.PutRecordsRequestEntry{PartitionKey: ids[i].PartitionKey(), Data: ids[i].Data(), ExplicitHashKey: hash}
				}
			}
			if records[i] == nil {
				return errors.New("not yet")
			}
		}
		req.Records = records[:]
		return nil
	})
	ledger.Hold(sessions[1])

	type answer struct {
		res *leatv1.PutRecordsResponse
		err error
		at  time.Time
	}
	answered := make(chan answer, 1)
	go func() {
		ctx, cancel := context.WithTimeout(t.Context(), rig.Patience)
		defer cancel()
		res, err := c.Client(0).Records.PutRecords(ctx, req)
		answered <- answer{res, err, time.Now()}
	}()
	rig.Eventually(t, rig.Patience, "one of the records is durable", func() error {
		_, err := ledger.Durable(ids[0], Place{shards[0], 0})
		return err
	})
	b.S3.Stop(t)
	stopped := time.Now()
	select {
	case a := <-answered:
		t.Fatalf("the call was answered before the other owner had: %v, %v", a.res, a.err)
	case <-time.After(time.Second): // as long as the test has patience to show it
	}
	c.Nodes[1].Kill(t) // who was to write the other record can answer no more
	a := <-answered
	if a.err != nil || len(a.res.GetRecords()) != 2 {
		t.Fatalf("the call was answered with %v, %v", a.res, a.err)
	}
	t.Logf("the answer came %v after the object store had stopped: %v", a.at.Sub(stopped).Round(time.Millisecond), a.res)
	h := NewHistory()
	h.Ledger = ledger
	h.Acked(ids[0], a.res.GetRecords()[0].GetShardId(), a.res.GetRecords()[0].GetSequenceNumber())
	for _, broken := range h.Broken() {
		t.Error(broken)
	}
	if r := a.res.GetRecords()[1]; r.GetSequenceNumber() != "" || r.GetErrorCode() == 0 {
		t.Errorf("a record that is in no durable segment was acknowledged: %v", r)
	}
	b.S3.Start(t)
}
