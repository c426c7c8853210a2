// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package transform

import (
	"bytes"
	"context"
	"crypto/md5"
	"errors"
	"fmt"

	"google.golang.org/protobuf/encoding/protowire"
)

// unpackKPL makes records of those that the Kinesis Producer Library packed into one: a magic number, a protobuf message
// (keys 1, hash keys 2, records 3 of {key 1, hash key 2, data 3, tags 4}) and the message's MD5. What does not begin so,
// or whose MD5 is another, is a record that nobody packed: the KCL reads it so too. What has the right MD5 and is no such
// message fails.
type unpackKPL struct{}

func (unpackKPL) close() error { return nil }

func (unpackKPL) apply(_ context.Context, b *batch, in []item) ([]item, error) {
	return each(b, in, func(out []item, it *item) ([]item, *failure) {
		message, packed := kplMessage(it.data)
		if !packed {
			return append(out, *it), nil
		}
		parts, err := unpack(message)
		if err != nil {
			return nil, failed("KPL.Malformed", "the record begins as the KPL's and cannot be unpacked: %v", err)
		}
		for _, p := range parts {
			next := *it
			next.data, next.origin = p, p
			out = append(out, next)
		}
		return out, nil
	}), nil
}

// kplMessage returns the message in a packed record.
func kplMessage(data []byte) (message []byte, packed bool) {
	rest, ok := bytes.CutPrefix(data, []byte{0xf3, 0x89, 0x9a, 0xc2})
	if !ok || len(rest) < md5.Size {
		return nil, false
	}
	message, sum := rest[:len(rest)-md5.Size], rest[len(rest)-md5.Size:]
	got := md5.Sum(message)
	return message, bytes.Equal(got[:], sum)
}

// unpack returns the data of a message's records.
func unpack(m []byte) (parts [][]byte, err error) {
	keys, hashKeys := uint64(0), uint64(0)
	type place struct{ key, hash uint64 }
	var highest place
	err = fields(m, func(n protowire.Number, value []byte, _ uint64) error {
		switch n {
		case 1:
			keys++
		case 2:
			hashKeys++
		case 3:
			data, key, hash, err := unpackRecord(value)
			if err != nil {
				return err
			}
			if len(parts) == MaxOutputs {
				return fmt.Errorf("it holds more than %d records", MaxOutputs)
			}
			highest = place{max(highest.key, key), max(highest.hash, hash)}
			parts = append(parts, data)
		}
		return nil
	})
	switch {
	case err != nil:
		return nil, err
	case len(parts) == 0:
		return nil, errors.New("it holds no record")
	case highest.key >= keys, highest.hash > hashKeys:
		return nil, errors.New("a record names a key that is not in the table")
	}
	return parts, nil
}

// unpackRecord reads one record. Its hash key counts from 1; 0 is none.
func unpackRecord(m []byte) (data []byte, key, hash uint64, err error) {
	has := false
	err = fields(m, func(n protowire.Number, value []byte, v uint64) error {
		switch n {
		case 1:
			key = v
		case 2:
			if v == 1<<64-1 {
				return errors.New("a hash key's place is too large")
			}
			hash = v + 1
		case 3:
			data, has = value, true
		}
		return nil
	})
	if err == nil && !has {
		err = errors.New("a record has no data")
	}
	if data == nil {
		data = []byte{}
	}
	return data, key, hash, err
}

// kinds is how the fields that are known are encoded: varints by number within records, otherwise bytes.
func fields(m []byte, each func(n protowire.Number, value []byte, v uint64) error) error {
	for len(m) > 0 {
		number, kind, n := protowire.ConsumeTag(m)
		if n < 0 {
			return protowire.ParseError(n)
		}
		m = m[n:]
		var value []byte
		var v uint64
		switch kind {
		case protowire.VarintType:
			v, n = protowire.ConsumeVarint(m)
		case protowire.BytesType:
			value, n = protowire.ConsumeBytes(m)
		default:
			n = protowire.ConsumeFieldValue(number, kind, m)
		}
		if n < 0 {
			return protowire.ParseError(n)
		}
		m = m[n:]
		if err := each(number, value, v); err != nil {
			return err
		}
	}
	return nil
}
