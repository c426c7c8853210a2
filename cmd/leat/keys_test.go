// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/leatstream/leat"
)

func TestKeys(t *testing.T) {
	for _, tc := range []struct {
		flags keyFlags
		line  string
		want  string // "!" and part of an error
	}{
		{keyFlags{Key: "k"}, "anything", "k"},
		{keyFlags{KeyColumn: 3}, "2026-11-20 13:46:01 install  leat:amd64", "install"},
		{keyFlags{KeyColumn: 1}, "  lead\tx", "lead"},
		{keyFlags{KeyColumn: 5}, "a b", "!it has no column 5 (it has 2)"},
		{keyFlags{KeyColumn: 1}, "", "!it has no column 1 (it has 0)"},
		{keyFlags{KeyColumn: 5, Key: "other"}, "a b", "other"},
		{keyFlags{KeyColumn: 2, Separator: ","}, "a,b c,d", "b c"},
		{keyFlags{KeyColumn: 2, Separator: ","}, "a,,d", "!its key is empty"},
		{keyFlags{KeyColumn: 2, Separator: `\t`}, "a\tb c\td", "b c"},
		{keyFlags{KeyColumn: 2, Separator: "::"}, "a::b", "b"},
		{keyFlags{KeyJSON: "user.id"}, `{"user":{"id":"u-1"}}`, "u-1"},
		{keyFlags{KeyJSON: "user.id"}, `{"user":{"id": 12345678901234567890}}`, "12345678901234567890"},
		{keyFlags{KeyJSON: "ok"}, `{"ok":true}`, "true"},
		{keyFlags{KeyJSON: "a.1.b"}, `{"a":[{},{"b":"in an array"}]}`, "in an array"},
		{keyFlags{KeyJSON: "s"}, `{"s":"\u00e9\n"}`, "é\n"},
		{keyFlags{KeyJSON: "user.id"}, `{"user":{}}`, "!it has no field user.id"},
		{keyFlags{KeyJSON: "user.id"}, `{"user":"x"}`, "!it has no field user.id"},
		{keyFlags{KeyJSON: "a.9"}, `{"a":[1]}`, "!it has no field a.9"},
		{keyFlags{KeyJSON: "user"}, `{"user":{}}`, "!not a string, number or boolean"},
		{keyFlags{KeyJSON: "user"}, `{"user":null}`, "!not a string, number or boolean"},
		{keyFlags{KeyJSON: "user"}, `{"user":""}`, "!its key is empty"},
		{keyFlags{KeyJSON: "user"}, `user`, "!it is not JSON"},
		{keyFlags{KeyJSON: "user", Key: "other"}, `user`, "other"},
	} {
		find, err := tc.flags.keyFunc(nil)
		if err != nil {
			t.Fatal(err)
		}
		got, err := find([]byte(tc.line))
		if part, fails := strings.CutPrefix(tc.want, "!"); fails {
			if err == nil || !strings.Contains(err.Error(), part) || leat.KindOf(err) != leat.KindInvalidArgument {
				t.Errorf("%+v on %q: %q, %v, want an error with %q", tc.flags, tc.line, got, err, part)
			}
		} else if err != nil || got != tc.want {
			t.Errorf("%+v on %q: %q, %v, want %q", tc.flags, tc.line, got, err, tc.want)
		}
	}
}

func TestKeysGoRound(t *testing.T) {
	find, err := (&keyFlags{}).keyFunc(rand.New(rand.NewPCG(1, 2)))
	if err != nil {
		t.Fatal(err)
	}
	ranges := leat.SplitEvenly(4)
	hits := make([]int, len(ranges))
	for range 4000 {
		key, err := find(nil)
		if err != nil {
			t.Fatal(err)
		}
		for i, r := range ranges {
			if r.Contains(leat.HashPartitionKey(key)) {
				hits[i]++
			}
		}
	}
	for i, n := range hits {
		if n < 800 || n > 1200 {
			t.Errorf("shard %d of 4 has %d of 4000 records", i, n)
		}
	}
}

func TestKeyFlagsThatMakeNoSense(t *testing.T) {
	for _, f := range []keyFlags{{KeyColumn: -1}, {Separator: ","}} {
		if _, err := f.keyFunc(nil); leat.KindOf(err) != leat.KindInvalidArgument {
			t.Errorf("%+v: %v", f, err)
		}
	}
}
