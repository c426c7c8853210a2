// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package journal

import (
	"bytes"
	"encoding/json"
	"fmt"
	"hash/crc32"

	"github.com/leatstream/leat"
)

// Form counts the forms of an Entry: it MUST rise with each member that is added to one, or to what is in it. A program does not
// write what it does not know, so that after entries of an older one there is a full entry of a newer one.
const Form = 1

// Entry is one object of the journal. Times are microseconds since 1970.
type Entry struct {
	N       uint64         // from 1
	Nonce   leat.SessionID // tells this attempt from all others
	Cluster leat.ClusterID
	At      int64
	Full    bool `json:",omitzero"` // the whole state: everything before it is forgotten

	Streams  []Stream  `json:",omitempty"`
	Accounts []Account `json:",omitempty"`
	Sessions []Session `json:",omitempty"` // opened; of a full entry: all, with how far they were packed
	Trims    []Trim    `json:",omitempty"` // objects are about to be deleted
	Ends     []End     `json:",omitempty"` // with Trims: shards of which no record is left

	Deliveries []Delivery `json:",omitempty"`
}

// Delivery is what changed of one delivery stream. What it has delivered is not here: each range has an object of its own
// in the bucket (server/delivery).
type Delivery struct {
	ID        string
	Gone      bool               `json:",omitzero"`
	Head      *DeliveryHead      `json:",omitempty"`
	Configs   []DeliveryConfig   `json:",omitempty"` // that were added; of a full entry: all
	Backfills []DeliveryBackfill `json:",omitempty"`
	Cursors   []DeliveryCursor   `json:",omitempty"` // where tracks begin; of a full entry: where they were
}

// DeliveryHead is a delivery stream without its configurations.
type DeliveryHead struct {
	Account, Name, State string
	Version              uint64
	Stream               leat.StreamID
	Tags                 json.RawMessage
	Created, Updated     int64
}

// DeliveryConfig is one version of a configuration. Its secrets are wrapped under the master key.
type DeliveryConfig struct {
	Track   string `json:",omitempty"` // a backfill; empty: the live delivery
	Version uint64
	Config  json.RawMessage
	Secrets string `json:",omitempty"`
}

// DeliveryBackfill delivers again what arrived in a time.
type DeliveryBackfill struct {
	Track                 string
	Begins, Ends, Created int64
}

// DeliveryCursor is where a track is in one shard.
type DeliveryCursor struct {
	Track       string `json:",omitempty"`
	Ordinal     uint64
	Start, Next uint64
	Stop        int64
	Time        int64 `json:",omitzero"`
	Done        bool  `json:",omitzero"`
}

// Stream is what changed of one stream.
type Stream struct {
	ID     leat.StreamID
	Gone   bool     `json:",omitzero"` // the stream itself, with everything of it
	Head   *Head    `json:",omitempty"`
	Bare   bool     `json:",omitzero"` // all of its shards are gone
	Shards []Shard  `json:",omitempty"`
	Lost   []uint64 `json:",omitempty"` // ordinals of shards that have expired
}

// Head is everything about a stream but its shards.
type Head struct {
	Stream    leat.Stream
	Since     int64 // when it came into its status
	ScaleMin  int64
	Intents   []Intent   `json:",omitempty"` // reshards that are not done
	Consumers []Consumer `json:",omitempty"`
	Tags      []Tag      `json:",omitempty"`
	Policies  []Policy   `json:",omitempty"`
	Keys      []Key      `json:",omitempty"`
}

// Intent is a reshard, as the catalog's row has it.
type Intent struct {
	ID       string
	Parents  json.RawMessage
	Children json.RawMessage
	State    string
	Created  int64
}

// Consumer is a registered reader.
type Consumer struct {
	Name            string
	Created, Active int64
}

// Tag is of the stream where Consumer is empty, otherwise of that consumer.
type Tag struct {
	Consumer string `json:",omitempty"`
	Name     string
	Value    string
}

// Policy is of the stream where Consumer is empty, otherwise of that consumer.
type Policy struct {
	Consumer string `json:",omitempty"`
	Policy   string
}

// Key seals a stream's records.
type Key struct {
	ID      leat.KeyID
	Wrapped string // KeptApart; of former versions: the key itself, wrapped under the master key
	Created int64
}

// Shard is a shard without its records. Its epoch, horizon and owner are those of the moment.
type Shard struct {
	leat.Shard
	Next     uint64 `json:",omitzero"` // the end of its registered records
	LastTime int64  `json:",omitzero"`
}

// Account is everything about an account but its streams.
type Account struct {
	Account    string
	Settings   json.RawMessage `json:",omitempty"`
	AccessKeys []AccessKey     `json:",omitempty"`
	Head       *leat.Account   `json:",omitempty"` // nil: there is no such account any more
	Roles      []leat.Role     `json:",omitempty"`
	Tokens     []Token         `json:",omitempty"`
}

// Token is an API token, with the SHA-256 of its secret.
type Token struct {
	leat.Token
	Hash string
}

// AccessKey is an AWS-style access key. Its secret is wrapped under the master key.
type AccessKey struct {
	ID, Name, Secret, State string
	Role                    string `json:",omitempty"`
	Created                 int64
}

// Session is one life of one node's log.
type Session struct {
	ID     leat.SessionID
	Opened int64
	Below  uint64 `json:",omitzero"` // segments below it are in registered packs
}

// Trim says that a session's segments below a number are in registered packs and may be gone.
type Trim struct {
	Session leat.SessionID
	Below   uint64
}

// End is where a shard ends of which no extent is left.
type End struct {
	Shard    leat.ShardKey
	Next     uint64
	LastTime int64
}

const form = "leat-journal 1 %08x\n"

// Encode makes the object of an entry.
func Encode(e *Entry) ([]byte, error) {
	body, err := json.Marshal(e)
	if err != nil {
		return nil, fmt.Errorf("encode journal entry %d: %w", e.N, err)
	}
	return seal(body), nil
}

func seal(body []byte) []byte {
	head := fmt.Sprintf(form, crc32.Checksum(body, crc32.MakeTable(crc32.Castagnoli)))
	return append([]byte(head), body...)
}

// Decode undoes Encode. KindCorrupt for anything that was altered, KindUnsupported for what a newer program wrote and this one
// cannot read whole.
func Decode(b []byte) (*Entry, error) {
	_, body, ok := bytes.Cut(b, []byte("\n"))
	if !ok || !bytes.Equal(b, seal(body)) {
		return nil, leat.Errorf(leat.KindCorrupt, "the entry of the journal does not match its checksum")
	}
	e := new(Entry)
	d := json.NewDecoder(bytes.NewReader(body))
	d.DisallowUnknownFields() // what this program does not know it would forget
	if err := d.Decode(e); err != nil && json.Unmarshal(body, new(Entry)) == nil {
		return nil, leat.Errorf(leat.KindUnsupported, "the entry of the journal was written by a newer leat, and this one would forget a part of it: %w: run that one", err)
	} else if err != nil {
		return nil, leat.Errorf(leat.KindCorrupt, "the entry of the journal cannot be read: %w", err)
	}
	return e, nil
}
