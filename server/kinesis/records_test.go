// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package kinesis_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/leatstream/leat/server/broker"
)

// Answers name the encryption of streams that have it, and nothing where there is none.
func TestEncryptionTypeOfRecords(t *testing.T) {
	r := newRig(t, options{keys: plainKeys{}})
	r.stream("s", 1)
	one := object{"StreamName": "s", "Data": "AA==", "PartitionKey": "k"}
	many := object{"StreamName": "s", "Records": []object{{"Data": "AA==", "PartitionKey": "k"}}}
	want := func(encryption string) {
		t.Helper()
		for operation, in := range map[string]object{"PutRecord": one, "PutRecords": many} {
			var out struct{ EncryptionType string }
			r.call(operation, in).into(&out)
			if out.EncryptionType != encryption {
				t.Errorf("%s: %q, want %q", operation, out.EncryptionType, encryption)
			}
		}
		var page struct {
			Records []struct{ EncryptionType string }
		}
		r.call("GetRecords", object{"ShardIterator": r.iterator("s")}).into(&page)
		if len(page.Records) == 0 || page.Records[0].EncryptionType != encryption {
			t.Errorf("GetRecords: %+v, want %q", page, encryption)
		}
	}
	want("")
	r.must(r.broker.StartStreamEncryption(t.Context(), who, "s", "alias/k"))
	r.active("s")
	want("KMS")
}

// iterator begins at the horizon of shard 0.
func (r *rig) iterator(stream string) string {
	r.t.Helper()
	it, err := r.broker.GetShardIterator(r.t.Context(), who, broker.GetShardIteratorRequest{Stream: stream, Shard: "0", Start: broker.StartingPosition{Type: broker.TrimHorizon}})
	r.must(err)
	return it
}

// The limits of a shard are told record by record in PutRecords, and for the whole call elsewhere.
func TestThrottling(t *testing.T) {
	r := newRig(t, options{limits: broker.LimitsAWS})
	r.stream("s", 1)
	record := `{"Data":"` + strings.Repeat("AAAA", 200_000) + `","PartitionKey":"k"}`
	var out struct {
		FailedRecordCount int
		Records           []struct{ ErrorCode, ErrorMessage string }
	}
	r.call("PutRecords", `{"StreamName":"s","Records":[`+record+","+record+","+record+`]}`).into(&out)
	const rate = "Rate exceeded for shard shardId-000000000000 in stream s under account 000000000000."
	last := out.Records[2]
	if out.FailedRecordCount == 0 || last.ErrorCode != "ProvisionedThroughputExceededException" || last.ErrorMessage != rate {
		t.Errorf("%d failed, the last with %+v", out.FailedRecordCount, last)
	}
	got := r.call("PutRecord", `{"StreamName":"s",`+record[1:]).refused(http.StatusBadRequest, "ProvisionedThroughputExceededException")
	if got != rate {
		t.Errorf("PutRecord: %q", got)
	}
	it := object{"ShardIterator": r.iterator("s")}
	for range 20 {
		if a := r.call("GetRecords", it); a.code != http.StatusOK {
			if got := a.refused(http.StatusBadRequest, "ProvisionedThroughputExceededException"); got != rate {
				t.Errorf("GetRecords: %q", got)
			}
			return
		}
	}
	t.Error("20 reads at once were not throttled")
}
