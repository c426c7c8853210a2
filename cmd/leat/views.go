// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/leatstream/leat/api/client"
	leatv1 "github.com/leatstream/leat/api/leat/v1"
)

// The JSON forms of streams, shards and consumers: the names of the native API's fields, numbers as numbers, and enums
// without their prefix.

type streamView struct {
	Name           string            `json:"name"`
	ARN            string            `json:"arn"`
	ID             string            `json:"id"`
	Account        string            `json:"account"`
	Mode           string            `json:"mode"`
	Status         string            `json:"status"`
	OpenShards     int               `json:"open_shard_count"`
	TargetShards   int               `json:"target_shard_count,omitempty"`
	RetentionHours int               `json:"retention_hours"`
	MaxRecordBytes int64             `json:"max_record_bytes"`
	Created        string            `json:"create_time"`
	EncryptionKey  string            `json:"encryption_key,omitempty"`
	Monitoring     []string          `json:"monitoring,omitempty"`
	WarmThroughput int               `json:"warm_throughput_mibps,omitempty"`
	Tags           map[string]string `json:"tags,omitempty"`
	Shards         []shardView       `json:"shards,omitempty"`
}

func viewStream(s *leatv1.Stream) streamView {
	return streamView{
		Name: s.GetName(), ARN: s.GetArn(), ID: s.GetId(), Account: s.GetAccount(),
		Mode: short(s.GetMode().String()), Status: short(s.GetStatus().String()),
		OpenShards: int(s.GetOpenShardCount()), TargetShards: int(s.GetTargetShardCount()),
		RetentionHours: int(s.GetRetentionHours()), MaxRecordBytes: s.GetMaxRecordBytes(), Created: rfc3339(s.GetCreateTime()),
		EncryptionKey: s.GetEncryptionKey(), Monitoring: monitored(s.GetMonitoring()), WarmThroughput: int(s.GetWarmThroughputMibps()),
	}
}

type shardView struct {
	ID             string   `json:"shard_id"`
	Start          string   `json:"starting_hash_key"`
	End            string   `json:"ending_hash_key"`
	Parents        []string `json:"parent_shard_ids,omitempty"`
	StartingNumber string   `json:"starting_sequence_number"`
	EndingNumber   string   `json:"ending_sequence_number,omitempty"`
	Created        string   `json:"create_time,omitempty"`
	Closed         string   `json:"close_time,omitempty"`
	Owner          string   `json:"owner_session_id,omitempty"`
	Epoch          int64    `json:"epoch"`
}

func viewShard(s *leatv1.Shard) shardView {
	v := shardView{
		ID: s.GetShardId(), Start: s.GetHashKeyRange().GetStartingHashKey(), End: s.GetHashKeyRange().GetEndingHashKey(),
		StartingNumber: s.GetSequenceNumberRange().GetStartingSequenceNumber(),
		EndingNumber:   s.GetSequenceNumberRange().GetEndingSequenceNumber(),
		Created:        rfc3339(s.GetCreateTime()), Closed: rfc3339(s.GetCloseTime()),
		Owner: s.GetOwnerSessionId(), Epoch: s.GetEpoch(),
	}
	for _, p := range []string{s.GetParentShardId(), s.GetAdjacentParentShardId()} {
		if p != "" {
			v.Parents = append(v.Parents, p)
		}
	}
	return v
}

// state is open, or closed and since when.
func (v *shardView) state() string {
	if v.Closed == "" {
		return "open"
	}
	return "closed"
}

type consumerView struct {
	Name    string `json:"name"`
	ARN     string `json:"arn"`
	Status  string `json:"status"`
	Created string `json:"create_time"`
	Stream  string `json:"stream"`
}

func viewConsumer(c *leatv1.Consumer) consumerView {
	return consumerView{Name: c.GetName(), ARN: c.GetArn(), Status: short(c.GetStatus().String()), Created: rfc3339(c.GetCreateTime()), Stream: c.GetStream()}
}

// short takes the prefix off an enum: STREAM_STATUS_ACTIVE is ACTIVE.
func short(enum string) string {
	for _, prefix := range []string{"STREAM_STATUS_", "STREAM_MODE_", "CONSUMER_STATUS_", "COMMITMENT_STATUS_", "SCALE_ACTION_", "KEY_STATE_", "NODE_STATE_", "INVOICE_STATUS_", "ACCOUNT_STATE_"} {
		if rest, ok := strings.CutPrefix(enum, prefix); ok {
			return rest
		}
	}
	return enum
}

// rfc3339 writes a moment for programs; empty when there is none.
func rfc3339(t *timestamppb.Timestamp) string {
	if t == nil {
		return ""
	}
	return t.AsTime().UTC().Format(time.RFC3339Nano)
}

// local writes a moment for people.
func local(t *timestamppb.Timestamp) string {
	if t == nil {
		return ""
	}
	return t.AsTime().Local().Format(time.DateTime)
}

// recordView is the JSON form of a record. Data is base64; text is there too where the data is text.
type recordView struct {
	ShardID        string  `json:"shard_id"`
	SequenceNumber string  `json:"sequence_number"`
	PartitionKey   string  `json:"partition_key"`
	Arrival        string  `json:"approximate_arrival"`
	Data           []byte  `json:"data"`
	Text           *string `json:"text,omitempty"`
}

func viewRecord(r *client.ReadRecord) recordView {
	v := recordView{
		ShardID: r.ShardID, SequenceNumber: r.SequenceNumber, PartitionKey: r.PartitionKey,
		Arrival: r.Arrival.UTC().Format("2006-01-02T15:04:05.000000Z07:00"), Data: r.Data,
	}
	if v.Data == nil {
		v.Data = []byte{} // "", not null
	}
	if utf8.Valid(r.Data) {
		text := string(r.Data)
		v.Text = &text
	}
	return v
}

// printable tells whether data is text on one line that a terminal shows as it is.
func printable(b []byte) bool {
	if !utf8.Valid(b) {
		return false
	}
	for _, r := range string(b) {
		if !unicode.IsPrint(r) && r != '\t' {
			return false
		}
	}
	return true
}
