// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package shardstore

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"hash/crc32"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/shardstore/blob"
	"github.com/leatstream/leat/shardstore/segment"
)

// Reshard closes parents and opens children in one record of the log (data-plane.md, rule 16).
type Reshard = segment.Reshard

// ReshardParent is a shard that a Reshard closes.
type ReshardParent = segment.ReshardParent

// ReshardChild is a shard that a Reshard opens.
type ReshardChild = segment.ReshardChild

// Closing is what is known for ever of a closed session: the content of the object closed/<session>, written once
// (data-plane.md, rule 11).
type Closing struct {
	Session  leat.SessionID
	Trim     uint64        // segments below it were packed and registered before
	Fence    uint64        // the first segment number that does not count: all acked segments lie below
	Shards   []ClosedShard // every shard that S's remaining segments touch, sorted
	Reshards []Reshard     // found in the remaining segments, in order, with finals
}

// ClosedShard is the end of one shard in a closed session.
type ClosedShard struct {
	Shard    leat.ShardKey
	Epoch    uint64
	Final    uint64   // the offset after the last record
	LastTime int64    // of the last record; the next owner's clock starts there
	Extents  []Extent // those still only in the session's segments, in order
}

// The object closed/<session> is JSON with a first line that protects it: "leat-closed 1 <CRC-32C of the rest>".
const closingForm = "leat-closed 1 %08x\n"

func encodeClosing(c Closing) ([]byte, error) {
	body, err := json.Marshal(c)
	if err != nil {
		return nil, fmt.Errorf("encode the closing of session %s: %w", c.Session, err)
	}
	return sealClosing(body), nil
}

// sealClosing puts the first line before a body.
func sealClosing(body []byte) []byte {
	head := fmt.Sprintf(closingForm, crc32.Checksum(body, crc32.MakeTable(crc32.Castagnoli)))
	return append([]byte(head), body...)
}

// decodeClosing undoes encodeClosing and refuses anything that was altered.
func decodeClosing(b []byte) (Closing, error) {
	_, body, ok := bytes.Cut(b, []byte("\n"))
	if !ok || !bytes.Equal(b, sealClosing(body)) {
		return Closing{}, leat.Errorf(leat.KindCorrupt, "the closing of a session does not match its checksum")
	}
	var c Closing
	if err := json.Unmarshal(body, &c); err != nil {
		return Closing{}, leat.Errorf(leat.KindCorrupt, "the closing of a session cannot be read: %w", err)
	}
	return c, nil
}

// ReadClosing reads closed/<session>: blob.ErrNotFound when the session's end was never decided.
func ReadClosing(ctx context.Context, blobs blob.Store, session leat.SessionID) (Closing, error) {
	b, err := blobs.Read(ctx, ClosingKey(session), 0, -1)
	if err != nil {
		return Closing{}, fmt.Errorf("read %s: %w", ClosingKey(session), err)
	}
	c, err := decodeClosing(b)
	if err == nil && c.Session != session {
		err = leat.Errorf(leat.KindCorrupt, "object %s speaks of session %s", ClosingKey(session), c.Session)
	}
	return c, err
}
