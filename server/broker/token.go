// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package broker

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"time"

	"github.com/leatstream/leat"
)

// Tokens that Leat hands out and takes back (shard iterators, page tokens) are authenticated with a key of the whole
// cluster, so that any node can read them and nobody else can make them:
//
//	base64url( version 1 | payload | the first 16 bytes of HMAC-SHA256(key, version | payload) )
//
// The key differs by purpose, so that a page token is never an iterator.
const (
	tokenVersion  = 1
	tokenMACBytes = 16
	maxTokenChars = 512 // as AWS bounds shard iterators
)

// sealer makes and opens the tokens of one purpose.
type sealer struct{ key []byte }

func newSealer(secret []byte, purpose string) sealer {
	m := hmac.New(sha256.New, secret)
	m.Write([]byte("leat " + purpose))
	return sealer{m.Sum(nil)}
}

func (s sealer) seal(payload []byte) string {
	b := make([]byte, 0, 1+len(payload)+sha256.Size)
	b = append(b, tokenVersion)
	b = append(b, payload...)
	b = append(b, s.mac(b)...)
	return base64.RawURLEncoding.EncodeToString(b)
}

// open returns the payload, or false for anything that seal did not return.
func (s sealer) open(token string) (payload []byte, ok bool) {
	if len(token) > 2*maxTokenChars {
		return nil, false
	}
	b, err := base64.RawURLEncoding.Strict().DecodeString(token)
	if err != nil || len(b) < 1+tokenMACBytes || b[0] != tokenVersion {
		return nil, false
	}
	body := b[:len(b)-tokenMACBytes]
	if !hmac.Equal(s.mac(body), b[len(body):]) {
		return nil, false
	}
	return body[1:], true
}

func (s sealer) mac(b []byte) []byte {
	m := hmac.New(sha256.New, s.key)
	m.Write(b)
	return m.Sum(nil)[:tokenMACBytes]
}

// iterator is the content of a shard iterator: a place in a shard and when it was handed out. It names neither owner
// nor epoch, so it outlives a move of the shard (data-plane.md, rule 18).
type iterator struct {
	shard  leat.ShardKey
	offset uint64
	issued int64 // microseconds since 1970
}

const iteratorBytes = 16 + 8 + 8 + 8

func (b *Broker) sealIterator(it iterator) string {
	var p [iteratorBytes]byte
	copy(p[:16], it.shard.Stream[:])
	binary.BigEndian.PutUint64(p[16:], it.shard.Ordinal)
	binary.BigEndian.PutUint64(p[24:], it.offset)
	binary.BigEndian.PutUint64(p[32:], uint64(it.issued))
	return b.iterators.seal(p[:])
}

// openIterator reads a shard iterator: KindInvalidArgument when it is not one of this cluster, KindExpiredIterator five
// minutes after it was handed out. The texts are those of AWS.
func (b *Broker) openIterator(token string) (iterator, error) {
	if token == "" {
		return iterator{}, leat.Invalid("shard_iterator", "shard iterator is missing: ask GetShardIterator for one")
	}
	p, ok := b.iterators.open(token)
	if !ok || len(token) > maxTokenChars || len(p) != iteratorBytes {
		return iterator{}, leat.Invalid("shard_iterator", "Invalid ShardIterator: it is not one that this cluster handed out")
	}
	it := iterator{
		shard:  leat.ShardKey{Stream: leat.StreamID(p[:16]), Ordinal: binary.BigEndian.Uint64(p[16:])},
		offset: binary.BigEndian.Uint64(p[24:]),
		issued: int64(binary.BigEndian.Uint64(p[32:])),
	}
	now := b.clock.Now()
	issued := time.UnixMicro(it.issued)
	if now.Sub(issued) > leat.IteratorLifetime {
		return iterator{}, leat.Errorf(leat.KindExpiredIterator, "Iterator expired. The iterator was created at time %s while right now it is %s which is further in the future than the tolerated delay of %d milliseconds.",
			awsDate(issued), awsDate(now), leat.IteratorLifetime.Milliseconds())
	}
	return it, nil
}

// awsDate is how AWS writes a time in its error texts.
func awsDate(t time.Time) string { return t.UTC().Format("Mon Jan 02 15:04:05 MST 2006") }

// nextIterator continues a read at another offset. It MUST differ from the one sent even when nothing was read and no
// time has passed: clients recognise a stalled reader by an iterator that stays the same.
func (b *Broker) nextIterator(sent iterator, offset uint64) string {
	issued := max(leat.Micros(b.clock.Now()), sent.issued+1)
	return b.sealIterator(iterator{shard: sent.shard, offset: offset, issued: issued})
}

// page is the content of a page token: which listing it continues, and after what.
type page struct {
	List   string       `json:"l"`           // the operation
	Scope  string       `json:"s"`           // what is listed: a stream's id, or an account
	After  string       `json:"a"`           // the last name or ordinal returned
	Filter *ShardFilter `json:"f,omitempty"` // of ListShards, with times resolved when the listing began
	Issued int64        `json:"t"`           // microseconds since 1970
}

func (b *Broker) sealPage(p page) (string, error) {
	p.Issued = leat.Micros(b.clock.Now())
	raw, err := json.Marshal(p)
	if err != nil {
		return "", leat.Errorf(leat.KindInternal, "page token: %w", err)
	}
	return b.pages.seal(raw), nil
}

// openPage reads a page token of one listing: KindInvalidArgument when it is not one, KindExpiredToken five minutes
// after it was handed out. The caller MUST compare the scope.
func (b *Broker) openPage(token, list string) (page, error) {
	var p page
	raw, ok := b.pages.open(token)
	if !ok || json.Unmarshal(raw, &p) != nil || p.List != list {
		return page{}, errToken(Action(list))
	}
	if b.clock.Now().Sub(time.UnixMicro(p.Issued)) > leat.IteratorLifetime {
		return page{}, leat.Errorf(leat.KindExpiredToken, "page token is older than %g seconds: begin the listing again", leat.IteratorLifetime.Seconds())
	}
	return p, nil
}

func errToken(list Action) error {
	return leat.Invalid("page_token", "page token is not one that %s handed out for this request", list)
}
