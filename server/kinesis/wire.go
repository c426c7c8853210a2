// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package kinesis

import (
	"math"
	"mime"
	"net/http"
	"strconv"
	"time"

	"github.com/fxamacker/cbor/v2"
)

// wire is one of the two encodings of requests and answers.
type wire interface {
	contentType() string
	// decode reads a body into a pointer to an input; its error is a SerializationException.
	decode(body []byte, in any) error
	// append encodes an output.
	append(b []byte, out any) ([]byte, error)
	appendError(b []byte, e *awsError) []byte

	// fastPuts and fastPut read the usual form of a put; false leaves the body to decode. See fast_json.go.
	fastPuts(body []byte, m *putMemory) bool
	fastPut(body []byte, m *putMemory) bool
	// writer begins a hot answer.
	writer(b []byte) writer
}

// wireOf reads the Content-Type.
func wireOf(r *http.Request) (wire, bool) {
	switch contentType(r) {
	case contentJSON:
		return jsonWire{}, true
	case contentCBOR:
		return cborWire{}, true
	}
	return nil, false
}

// contentType reads the Content-Type without its parameters.
func contentType(r *http.Request) string {
	t, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil {
		return ""
	}
	return t
}

const (
	contentJSON = "application/x-amz-json-1.1"
	contentCBOR = "application/x-amz-cbor-1.1"
)

// timestamp is a time on the wire: seconds with a fraction in JSON, tag 1 with integer milliseconds in CBOR. AWS keeps
// milliseconds.
type timestamp struct{ time.Time }

// stamp returns nil for the zero time.
func stamp(t time.Time) *timestamp {
	if t.IsZero() {
		return nil
	}
	return &timestamp{t}
}

// time returns the zero time where t is absent.
func (t *timestamp) time() time.Time {
	if t == nil {
		return time.Time{}
	}
	return t.Time
}

// The years 1 to 9999 in milliseconds: other times would not survive being formatted.
const (
	minMillis = -62135596800000
	maxMillis = 253402300799999
)

// fromMillis makes a time of milliseconds since 1970, which may have a fraction.
func fromMillis(ms float64) (timestamp, bool) {
	if !(ms >= minMillis && ms <= maxMillis) { // not a number is neither
		return timestamp{}, false
	}
	whole := math.Floor(ms)
	return timestamp{time.UnixMilli(int64(whole)).Add(time.Duration((ms - whole) * 1e6)).UTC()}, true
}

// MarshalJSON writes seconds.
func (t timestamp) MarshalJSON() ([]byte, error) { return appendSeconds(nil, t.UnixMilli()), nil }

// appendSeconds writes milliseconds as seconds with a fraction of three digits at most.
func appendSeconds(b []byte, millis int64) []byte {
	if millis < 0 {
		b, millis = append(b, '-'), -millis
	}
	b = strconv.AppendInt(b, millis/1000, 10)
	if rest := millis % 1000; rest > 0 {
		b = append(b, '.', byte('0'+rest/100))
		if rest %= 100; rest > 0 {
			b = append(b, byte('0'+rest/10))
			if rest %= 10; rest > 0 {
				b = append(b, byte('0'+rest))
			}
		}
	}
	return b
}

// MarshalCBOR writes milliseconds.
func (t timestamp) MarshalCBOR() ([]byte, error) {
	return cbor.Marshal(cbor.Tag{Number: 1, Content: t.UnixMilli()})
}

// UnmarshalCBOR reads milliseconds, with or without the tag.
func (t *timestamp) UnmarshalCBOR(raw []byte) error {
	if len(raw) > 0 && raw[0] == 0xc1 {
		raw = raw[1:]
	}
	var v any
	if err := cbor.Unmarshal(raw, &v); err != nil {
		return err
	}
	clash := &cbor.UnmarshalTypeError{CBORType: "value", GoType: "milliseconds since epoch"}
	var ms float64
	switch n := v.(type) {
	case uint64:
		ms = float64(n)
	case int64:
		ms = float64(n)
	case float64:
		ms = n
	default:
		return clash
	}
	at, ok := fromMillis(ms)
	if !ok {
		return clash
	}
	*t = at
	return nil
}

func itoa(n int) string { return strconv.Itoa(n) }
