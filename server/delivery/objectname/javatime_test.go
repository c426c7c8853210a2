// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package objectname_test

import (
	"strings"
	"testing"
	"time"

	"github.com/leatstream/leat/server/delivery/objectname"
	"github.com/leatstream/leat/server/delivery/spec"
)

// What patterns make, from the documentation of DateTimeFormatter.
func TestTimePatterns(t *testing.T) {
	at := func(s string) time.Time {
		v, err := time.Parse(time.RFC3339Nano, s)
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	afternoon := at("2026-02-03T15:04:05.067008009Z")
	for _, tc := range []struct {
		pattern string
		zone    string
		at      time.Time
		want    string
	}{
		{"yyyy/MM/dd/HH", "", afternoon, "2026/02/03/15"},
		{"y-u-yy-yyy-yyyyy", "", afternoon, "2026-2026-26-2026-02026"},
		{"M.MM.MMM.MMMM.MMMMM", "", afternoon, "2.02.Feb.February.F"},
		{"L.LLL", "", afternoon, "2.Feb"},
		{"d.dd.D.DD.DDD", "", afternoon, "3.03.34.34.034"},
		{"Q.QQ.QQQ.QQQQ.QQQQQ", "", afternoon, "1.01.Q1.1st quarter.1"},
		{"h.hh.K.k.H.a", "", afternoon, "3.03.3.15.15.PM"},
		{"h.K.k.H.a", "", at("2026-02-03T00:10:00Z"), "12.0.24.0.AM"},
		{"h.K.k.H.a", "", at("2026-02-03T12:10:00Z"), "12.0.12.12.PM"},
		{"m.mm.s.ss", "", afternoon, "4.04.5.05"},
		{"S.SS.SSS.SSSSSSSSS", "", afternoon, "0.06.067.067008009"},
		{"A", "", afternoon, "54245067"},
		{"n.N", "", afternoon, "67008009.54245067008009"},
		{"E.EEE.EEEE.EEEEE", "", afternoon, "Tue.Tue.Tuesday.T"},
		{"e.ee.eee.c.cccc", "", afternoon, "3.03.Tue.3.Tuesday"},
		{"G.GGGG.GGGGG", "", afternoon, "AD.Anno Domini.A"},
		{"'it''s' yyyy '''' ''", "", afternoon, "it's 2026 ' '"},
		{"[yyyy][-MM]", "", afternoon, "2026-02"},
		{"yyyy'}'MM", "", afternoon, "2026}02"},
		// Weeks, from Sunday on, the first one holding January 1st.
		{"YYYY-ww-e", "", at("2026-01-01T00:00:00Z"), "2026-01-5"},
		{"YYYY-ww-e", "", at("2025-12-28T00:00:00Z"), "2026-01-1"},
		{"YYYY-ww-e", "", at("2025-12-27T00:00:00Z"), "2025-52-7"},
		{"YYYY-w", "", at("2023-01-01T00:00:00Z"), "2023-1"},
		{"YYYY-w", "", at("2023-01-08T00:00:00Z"), "2023-2"},
		{"YYYY-w", "", at("2022-12-31T00:00:00Z"), "2022-53"},
		{"W", "", at("2026-02-01T00:00:00Z"), "1"},
		{"W", "", at("2026-02-08T00:00:00Z"), "2"},
		{"W", "", at("2026-01-31T00:00:00Z"), "5"},
		// Zones.
		{"VV X x Z O", "", afternoon, "UTC Z +00 +0000 GMT"},
		{"XX.XXX.xx.xxx.ZZZZ.ZZZZZ.OOOO", "", afternoon, "Z.Z.+0000.+00:00.GMT.Z.GMT"},
		{"HH VV X XX XXX x Z ZZZZ ZZZZZ O OOOO", "Asia/Kolkata", afternoon, "20 Asia/Kolkata +0530 +0530 +05:30 +0530 +0530 GMT+05:30 +05:30 GMT+5:30 GMT+05:30"},
		{"HH X xxx O", "America/New_York", afternoon, "10 -05 -05:00 GMT-5"},
		{"HH X", "America/New_York", at("2026-07-03T15:00:00Z"), "11 -04"}, // summer
		{"dd HH", "Pacific/Auckland", afternoon, "04 04"},
	} {
		n := compile(t, objectname.Options{Naming: spec.Naming{Prefix: "<!{timestamp:" + tc.pattern + "}>", ErrorPrefix: "!{firehose:error-output-type}/", TimeZone: tc.zone}})
		name, err := n.Key(spec.Key{Oldest: tc.at})
		got, _, _ := strings.Cut(strings.TrimPrefix(name, "<"), ">")
		if err != nil || got != tc.want {
			t.Errorf("%s in %q: got %q, %v; want %q", tc.pattern, tc.zone, got, err, tc.want)
		}
	}
}
