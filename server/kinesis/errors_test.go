// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package kinesis

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/server/awswire"
)

func TestTableOfKindsIsComplete(t *testing.T) {
	for _, k := range leat.Kinds() {
		x := exceptionOf(k)
		if x.Type == "" || x.Status < 400 || http.StatusText(x.Status) == "" {
			t.Errorf("%s has no exception: %+v", k, x)
		}
	}
	if x := exceptionOf(leat.Kind(200)); x.Type != "" {
		t.Errorf("a kind that does not exist is %+v", x)
	}
}

func TestFaultsOfTheServerAreNotTold(t *testing.T) {
	for _, err := range []error{
		errors.New("dial 10.0.0.7: secret"),
		leat.Errorf(leat.KindInternal, "secret"),
		leat.Errorf(leat.KindCorrupt, "secret"),
		leat.Errorf(leat.KindUnknownOutcome, "secret"),
	} {
		told, _ := translate(err, "id-1")
		if strings.Contains(told.Message, "secret") || !strings.Contains(told.Message, "id-1") || told.Code() != http.StatusInternalServerError {
			t.Errorf("%v: told %+v", err, told)
		}
	}
	if told, kind := translate(context.Canceled, ""); kind != leat.KindCanceled || told.Type != "RequestTimeoutException" {
		t.Errorf("a caller that went away: %+v", told)
	}
}

func TestTimesOfBothWires(t *testing.T) {
	at := time.UnixMilli(1459799926480)
	for name, c := range map[string]struct {
		w    wire
		body string
		want any // a time, or the type of an error
	}{
		"JSON":              {jsonWire{}, `{"Timestamp":1459799926.480}`, at},
		"JSON exponent":     {jsonWire{}, `{"Timestamp":1.45979992648E9}`, at},
		"JSON text":         {jsonWire{}, `{"Timestamp":"2016-04-04"}`, awswire.TypeSerialization},
		"CBOR":              {cborWire{}, "\xa1\x69Timestamp\xc1\x1b\x00\x00\x01\x53\xe2\xdb\x26\xd0", at},
		"CBOR without tag":  {cborWire{}, "\xa1\x69Timestamp\x1b\x00\x00\x01\x53\xe2\xdb\x26\xd0", at},
		"CBOR text":         {cborWire{}, "\xa1\x69Timestamp\x61x", awswire.TypeSerialization},
		"CBOR tagged text":  {cborWire{}, "\xa1\x69Timestamp\xc1\x61x", awswire.TypeSerialization},
		"CBOR not a number": {cborWire{}, "\xa1\x69Timestamp\xc1\xfb\x7f\xf8\x00\x00\x00\x00\x00\x00", awswire.TypeSerialization},
	} {
		var in getShardIteratorInput
		err := c.w.decode([]byte(c.body), &in)
		if want, ok := c.want.(time.Time); ok {
			if err != nil || !in.Timestamp.Equal(want) {
				t.Errorf("%s: %v, %v", name, in.Timestamp, err)
			}
			continue
		}
		var told *awsError
		if !errors.As(err, &told) || told.Type != c.want {
			t.Errorf("%s: %v, %v", name, in.Timestamp, err)
		}
	}
	for millis, want := range map[int64]string{0: "0", 1000: "1", 1234: "1.234", 1200: "1.2", 1230: "1.23", 1004: "1.004", -1500: "-1.5"} {
		if got := string(appendSeconds(nil, millis)); got != want {
			t.Errorf("%d ms became %s", millis, got)
		}
	}
}
