// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package objectname_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/server/delivery/objectname"
	"github.com/leatstream/leat/server/delivery/spec"
)

// compile makes names or fails the test.
func compile(t testing.TB, o objectname.Options) *objectname.Names {
	t.Helper()
	n, err := objectname.Compile(o)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

var newYear = time.Date(2027, time.January, 1, 1, 2, 3, 45_678_900, time.UTC)

// object is what most tests name.
func object() spec.Key {
	return spec.Key{Delivery: "orders", Version: 3, Oldest: newYear, Seed: [16]byte{1, 2, 3}}
}

// Names MUST stay what they are: an object that was planned by one version of Leat is put by the next one.
func TestNamesStay(t *testing.T) {
	keys := object()
	keys.Query, keys.Lambda = map[string]string{"customer": "c 1/x", "unused": "u"}, map[string]string{"kind": "ä"}
	for _, tc := range []struct {
		about string
		o     objectname.Options
		in    spec.Key
		fail  spec.ErrorType
		want  string
	}{
		{"nothing given", objectname.Options{}, object(), "", "2027/01/01/01/orders-3-2027-01-01-01-02-03-UUID"},
		{"a plain prefix", objectname.Options{Naming: spec.Naming{Prefix: "logs/", Extension: ".json.gz"}}, object(), "", "logs/2027/01/01/01/orders-3-2027-01-01-01-02-03-UUID.json.gz"},
		{"a plain prefix, failed", objectname.Options{Naming: spec.Naming{Prefix: "logs/"}}, object(), spec.ProcessingFailed, "logs/processing-failed/2027/01/01/01/orders-3-2027-01-01-01-02-03-UUID"},
		{"a failed one has no extension", objectname.Options{Naming: spec.Naming{Extension: ".x"}, Default: ".gz"}, object(), spec.PartitioningFailed, "partitioning-failed/2027/01/01/01/orders-3-2027-01-01-01-02-03-UUID"},
		{"the format's extension", objectname.Options{Default: ".gz"}, object(), "", "2027/01/01/01/orders-3-2027-01-01-01-02-03-UUID.gz"},
		{"a plain error prefix", objectname.Options{Naming: spec.Naming{Prefix: "logs/", ErrorPrefix: "bad/"}}, object(), spec.HTTPFailed, "bad/http-endpoint-failed/2027/01/01/01/orders-3-2027-01-01-01-02-03-UUID"},
		{
			"times, in a zone", objectname.Options{Naming: spec.Naming{Prefix: "y=!{timestamp:yyyy}/m=!{timestamp:MM'/day='dd}/", ErrorPrefix: "e/!{firehose:error-output-type}/", TimeZone: "America/New_York"}},
			object(), "", "y=2026/m=12/day=31/orders-3-2026-12-31-20-02-03-UUID",
		},
		{
			"an error prefix without a time", objectname.Options{Naming: spec.Naming{Prefix: "!{timestamp:yyyy}/", ErrorPrefix: "e/!{firehose:error-output-type}/"}},
			object(), spec.ConversionFailed, "e/format-conversion-failed/2027/01/01/01/orders-3-2027-01-01-01-02-03-UUID",
		},
		{
			"random strings", objectname.Options{Naming: spec.Naming{Prefix: "!{firehose:random-string}/!{firehose:random-string}/", ErrorPrefix: "!{firehose:error-output-type}/"}},
			object(), "", "Zt6T3f5QcOb/ud3Tb1H6isw/2027/01/01/01/orders-3-2027-01-01-01-02-03-UUID",
		},
		{
			"partition keys", objectname.Options{Naming: spec.Naming{Prefix: "c=!{partitionKeyFromQuery:customer}/k=!{partitionKeyFromLambda:kind}/", ErrorPrefix: "!{firehose:error-output-type}/"}, Partitioned: true},
			keys, "", "c=c 1/x/k=ä/2027/01/01/01/orders-3-2027-01-01-01-02-03-UUID",
		},
	} {
		n := compile(t, tc.o)
		tc.in.Error = tc.fail
		got, err := n.Key(tc.in)
		if err != nil {
			t.Errorf("%s: %v", tc.about, err)
			continue
		}
		if again, _ := n.Key(tc.in); again != got {
			t.Errorf("%s: two names, %q and %q", tc.about, got, again)
		}
		before, after, _ := strings.Cut(tc.want, "UUID")
		uuid := strings.TrimSuffix(strings.TrimPrefix(got, before), after)
		if len(uuid) != 36 || before+uuid+after != got {
			t.Errorf("%s: got %q, want %q", tc.about, got, tc.want)
		}
	}
	got, err := compile(t, objectname.Options{}).Key(object())
	if want := "2027/01/01/01/orders-3-2027-01-01-01-02-03-b34e8891-c471-84ef-8ae9-09f3fe27d37f"; err != nil || got != want {
		t.Errorf("got %q, %v; want %q", got, err, want)
	}
}

// Whatever differs between two objects of a delivery makes two names.
func TestNamesDiffer(t *testing.T) {
	n := compile(t, objectname.Options{Naming: spec.Naming{Prefix: "!{partitionKeyFromQuery:a}/", ErrorPrefix: "!{firehose:error-output-type}/"}, Partitioned: true})
	base := object()
	base.Query = map[string]string{"a": "1"}
	names := map[string]string{}
	for about, change := range map[string]func(*spec.Key){
		"nothing":    func(*spec.Key) {},
		"the range":  func(o *spec.Key) { o.Seed[15]++ },
		"the part":   func(o *spec.Key) { o.Part++ },
		"a key":      func(o *spec.Key) { o.Query = map[string]string{"a": "2"} },
		"another":    func(o *spec.Key) { o.Query = map[string]string{"a": "1", "b": "2"} },
		"from where": func(o *spec.Key) { o.Lambda = map[string]string{"a": "1"} },
	} {
		o := base
		change(&o)
		name, err := n.Key(o)
		if err != nil {
			t.Fatal(err)
		}
		uuid := name[len(name)-36:]
		if was, ok := names[uuid]; ok {
			t.Errorf("%s and %s make one name, %s", was, about, name)
		}
		names[uuid] = about
	}
	for _, kind := range []spec.ErrorType{spec.ProcessingFailed, spec.ConversionFailed} {
		base.Error = kind
		name, err := n.Key(base)
		if err != nil {
			t.Fatal(err)
		}
		if was, ok := names[name[len(name)-36:]]; ok {
			t.Errorf("%s and %s make one name", was, kind)
		}
	}
}

// What cannot work is refused when it is given: with the field, the place and what to do.
func TestRefused(t *testing.T) {
	const failed = "!{firehose:error-output-type}/"
	for _, tc := range []struct {
		about string
		o     objectname.Options
		field string
		says  string
	}{
		{"an open expression", objectname.Options{Naming: spec.Naming{Prefix: "ab!{timestamp:yyyy", ErrorPrefix: failed}}, "prefix", "position 2: the expression has no closing brace"},
		{"no value", objectname.Options{Naming: spec.Naming{Prefix: "!{timestamp}", ErrorPrefix: failed}}, "prefix", "write !{namespace:value}"},
		{"no such namespace", objectname.Options{Naming: spec.Naming{Prefix: "x/!{time:yyyy}", ErrorPrefix: failed}}, "prefix", `position 4: there is no namespace "time"; use timestamp`},
		{"no such value", objectname.Options{Naming: spec.Naming{Prefix: "!{firehose:random}", ErrorPrefix: failed}}, "prefix", "position 11"},
		{"nested", objectname.Options{Naming: spec.Naming{Prefix: "!{timestamp:!{firehose:random-string}}", ErrorPrefix: failed}}, "prefix", "cannot be nested"},
		{"a key without a name", objectname.Options{Naming: spec.Naming{Prefix: "!{partitionKeyFromQuery:}", ErrorPrefix: failed}, Partitioned: true}, "prefix", "has no name"},
		{"an unknown letter", objectname.Options{Naming: spec.Naming{Prefix: "a!{timestamp:yyyy'-'bb}", ErrorPrefix: failed}}, "prefix", `position 20: the letter "b"`},
		{"text without quotes", objectname.Options{Naming: spec.Naming{Prefix: "!{timestamp:year}", ErrorPrefix: failed}}, "prefix", `"r"`},
		{"too many letters", objectname.Options{Naming: spec.Naming{Prefix: "!{timestamp:ddd}", ErrorPrefix: failed}}, "prefix", `"d" is repeated 3 times`},
		{"an open quote", objectname.Options{Naming: spec.Naming{Prefix: "!{timestamp:yyyy'}", ErrorPrefix: failed}}, "prefix", "position 16: the quote is not closed"},
		{"brackets", objectname.Options{Naming: spec.Naming{Prefix: "!{timestamp:yyyy]}", ErrorPrefix: failed}}, "prefix", "] closes nothing"},
		{"reserved", objectname.Options{Naming: spec.Naming{Prefix: "!{timestamp:yyyy#}", ErrorPrefix: failed}}, "prefix", "reserved"},
		{"an empty pattern", objectname.Options{Naming: spec.Naming{Prefix: "!{timestamp:}", ErrorPrefix: failed}}, "prefix", "is empty"},
		{"the error type in the prefix", objectname.Options{Naming: spec.Naming{Prefix: failed, ErrorPrefix: failed}}, "prefix", "belongs into error_prefix"},
		{"no error prefix", objectname.Options{Naming: spec.Naming{Prefix: "!{timestamp:yyyy}/"}}, "error_prefix", "is required"},
		{"an error prefix without the type", objectname.Options{Naming: spec.Naming{ErrorPrefix: "e/!{timestamp:yyyy}/"}}, "error_prefix", "!{firehose:error-output-type}"},
		{"keys in the error prefix", objectname.Options{Naming: spec.Naming{ErrorPrefix: failed + "!{partitionKeyFromQuery:a}/"}}, "error_prefix", "must not hold partition keys"},
		{"keys without partitioning", objectname.Options{Naming: spec.Naming{Prefix: "!{partitionKeyFromQuery:a}/", ErrorPrefix: failed}}, "prefix", "dynamic partitioning is off"},
		{"partitioning without keys", objectname.Options{Naming: spec.Naming{Prefix: "a/"}, Partitioned: true}, "prefix", "names no partition key"},
		{"a slash at the start", objectname.Options{Naming: spec.Naming{Prefix: "/a/"}}, "prefix", "empty part"},
		{"two slashes", objectname.Options{Naming: spec.Naming{ErrorPrefix: "a//b"}}, "error_prefix", "empty part"},
		{"two slashes that a pattern makes", objectname.Options{Naming: spec.Naming{Prefix: "a/!{timestamp:/yyyy}/", ErrorPrefix: failed}}, "prefix", "between its slashes"},
		{"two slashes in failed names alone", objectname.Options{Naming: spec.Naming{ErrorPrefix: failed + "!{timestamp:/yyyy}"}}, "error_prefix", "between its slashes"},
		{"dots", objectname.Options{Naming: spec.Naming{Prefix: "a/../b/"}}, "prefix", `".."`},
		{"a long prefix", objectname.Options{Naming: spec.Naming{Prefix: strings.Repeat("a/", 300)}}, "prefix", "512"},
		{"a long part", objectname.Options{Naming: spec.Naming{Prefix: strings.Repeat("a", 300)}}, "prefix", "255"},
		{"control characters", objectname.Options{Naming: spec.Naming{Prefix: "a\n"}}, "prefix", "control characters"},
		{"an extension without a dot", objectname.Options{Naming: spec.Naming{Extension: "gz"}}, "extension", "must begin with a dot"},
		{"an extension with a slash", objectname.Options{Naming: spec.Naming{Extension: ".g/z"}}, "extension", ".g/z"},
		{"no such zone", objectname.Options{Naming: spec.Naming{TimeZone: "Europe/Atlantis"}}, "time_zone", "Europe/Atlantis"},
		{"the node's zone", objectname.Options{Naming: spec.Naming{TimeZone: "Local"}}, "time_zone", "differs from node to node"},
	} {
		_, err := objectname.Compile(tc.o)
		var e *leat.Error
		if !errors.As(err, &e) || e.Kind != leat.KindInvalidArgument || e.Field != "naming."+tc.field || !strings.Contains(e.Message, tc.says) {
			t.Errorf("%s: got %#v, want the field %s and %q", tc.about, err, tc.field, tc.says)
		}
	}
}

// Records whose keys make no name fail, one partition's names do not depend on others.
func TestPartitions(t *testing.T) {
	n := compile(t, objectname.Options{Naming: spec.Naming{Prefix: "!{partitionKeyFromQuery:a}/!{partitionKeyFromLambda:b}/!{partitionKeyFromQuery:a}/", ErrorPrefix: "!{firehose:error-output-type}/"}, Partitioned: true})
	if keys := n.Keys(); len(keys) != 2 || keys[0] != (objectname.Key{Name: "a"}) || keys[1] != (objectname.Key{Name: "b", Lambda: true}) {
		t.Errorf("it uses %v", keys)
	}
	of := func(a, b string) spec.Key {
		return spec.Key{Query: map[string]string{"a": a, "more": "x"}, Lambda: map[string]string{"b": b}}
	}
	for about, o := range map[string]spec.Key{
		"no key":        {Query: map[string]string{"a": "1"}},
		"an empty key":  of("1", ""),
		"dots":          of("..", "1"),
		"a slash":       of("a/", "1"),
		"a zero":        of("a\x00", "1"),
		"not UTF-8":     of("\xff", "1"),
		"a long key":    of(strings.Repeat("x", 256), "1"),
		"long together": of(strings.Repeat("x/", 120)+"x", strings.Repeat("x/", 120)+"x"),
	} {
		if _, err := n.Key(o); leat.KindOf(err) != leat.KindInvalidArgument {
			t.Errorf("%s: got %v", about, err)
		}
	}
}

// Whatever prefix is accepted, names are sound and repeatable; nothing panics.
func TestAnyPrefix(t *testing.T) {
	piece := rapid.SampledFrom([]string{
		"a/", "b", "!{timestamp:", "yyyy", "}", "/", "'", "''", "!{firehose:random-string}", "!{firehose:error-output-type}", "!{", ":", "[HH]",
		"!{partitionKeyFromQuery:k}", "!{timestamp:yyyy/'W'ww/}", "é", "\x01", "-", "XXX", "SSS", "EEEE", "n",
	})
	text := rapid.Custom(func(t *rapid.T) string { return strings.Join(rapid.SliceOfN(piece, 0, 8).Draw(t, "pieces"), "") })
	made := 0
	rapid.Check(t, func(t *rapid.T) {
		n, err := objectname.Compile(objectname.Options{
			Naming:      spec.Naming{Prefix: text.Draw(t, "prefix"), ErrorPrefix: text.Draw(t, "error prefix")},
			Partitioned: rapid.Bool().Draw(t, "partitioned"),
		})
		if err != nil {
			if leat.KindOf(err) != leat.KindInvalidArgument {
				t.Fatal(err)
			}
			return
		}
		made++
		o := spec.Key{Delivery: "d", Oldest: time.Unix(rapid.Int64Range(0, 4e9).Draw(t, "time"), 0), Query: map[string]string{"k": "v"}}
		name, err := n.Key(o)
		again, err2 := n.Key(o)
		if err != nil || err2 != nil || name != again || !strings.HasPrefix(name, n.Root()) || len(name) > objectname.MaxKeyBytes || strings.Contains(name, "//") {
			t.Fatalf("%q, %v; %q, %v", name, err, again, err2)
		}
		o.Error = spec.ProcessingFailed
		if name, err := n.Key(o); err != nil || !strings.HasPrefix(name, n.Root()) {
			t.Fatal(name, err)
		}
	})
	if made == 0 {
		t.Error("no prefix was accepted: nothing was tested")
	}
}

func BenchmarkObject(b *testing.B) {
	n := compile(b, objectname.Options{Naming: spec.Naming{Prefix: "c=!{partitionKeyFromQuery:customer}/!{timestamp:yyyy/MM/dd}/", ErrorPrefix: "!{firehose:error-output-type}/"}, Partitioned: true})
	o := object()
	o.Query = map[string]string{"customer": "1234"}
	for b.Loop() {
		if _, err := n.Key(o); err != nil {
			b.Fatal(err)
		}
	}
}
