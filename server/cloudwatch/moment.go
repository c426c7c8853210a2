// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package cloudwatch

import (
	"errors"
	"math"
	"strconv"
	"time"

	"github.com/fxamacker/cbor/v2"
)

// moment is a time: in CBOR seconds since 1970 with the tag 1, in JSON such seconds, in forms and XML as in RFC 3339.
type moment struct{ time.Time }

var errTime = errors.New("not a time")

func (m *moment) set(seconds float64) error {
	const most = 1 << 40
	if math.IsNaN(seconds) || math.Abs(seconds) > most {
		return errTime
	}
	whole, part := math.Modf(seconds)
	m.Time = time.Unix(int64(whole), int64(part*1e9)).UTC()
	return nil
}

// UnmarshalCBOR implements cbor.Unmarshaler.
func (m *moment) UnmarshalCBOR(b []byte) error {
	var raw cbor.RawTag
	var content any
	if cbor.Unmarshal(b, &raw) != nil || raw.Number != 1 || cbor.Unmarshal(raw.Content, &content) != nil {
		return errTime
	}
	switch n := content.(type) {
	case uint64:
		return m.set(float64(n))
	case int64:
		return m.set(float64(n))
	case float64:
		return m.set(n)
	}
	return errTime
}

// MarshalCBOR implements cbor.Marshaler.
func (m moment) MarshalCBOR() ([]byte, error) {
	return cbor.Marshal(cbor.Tag{Number: 1, Content: float64(m.Unix())}) // periods begin with a second
}

// UnmarshalJSON implements json.Unmarshaler.
func (m *moment) UnmarshalJSON(b []byte) error {
	seconds, err := strconv.ParseFloat(string(b), 64)
	if err != nil {
		return errTime
	}
	return m.set(seconds)
}

// MarshalJSON implements json.Marshaler.
func (m moment) MarshalJSON() ([]byte, error) { return strconv.AppendInt(nil, m.Unix(), 10), nil }

// UnmarshalText implements encoding.TextUnmarshaler. Forms have times with a zone, and some clients times without.
func (m *moment) UnmarshalText(b []byte) error {
	for _, form := range []string{time.RFC3339Nano, "2006-01-02T15:04:05", "2006-01-02"} {
		if t, err := time.Parse(form, string(b)); err == nil {
			m.Time = t.UTC()
			return nil
		}
	}
	return errTime
}

// MarshalText implements encoding.TextMarshaler.
func (m moment) MarshalText() ([]byte, error) { return m.UTC().AppendFormat(nil, time.RFC3339), nil }
