// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package objectname

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	_ "time/tzdata" // names of zones mean the same on each node, also where the system has none of the data
	"unicode/utf8"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/server/delivery/spec"
)

// Limits of names. The first is Firehose's, the others are S3's and those of S3-like stores on file systems.
const (
	MaxPrefixChars = 512  // of an evaluated prefix
	MaxKeyBytes    = 1024 // of a whole name
	MaxPartBytes   = 255  // between two slashes
)

// DefaultTime is appended to a prefix without a timestamp.
const DefaultTime = "!{timestamp:yyyy/MM/dd/HH/}"

// Options is how a delivery stream names its objects.
type Options struct {
	spec.Naming
	// Default is the extension of names where Naming has none.
	Default string
	// Partitioned tells whether records have partition keys: then Prefix MUST name one and ErrorPrefix is needed.
	Partitioned bool
	// Field is what Naming is called in errors; empty means naming.
	Field string
}

// Names gives objects their names; it is a spec.Namer. It is safe for use by many goroutines.
type Names struct {
	o       Options
	zone    *time.Location
	prefix  template
	failed  template
	uses    []Key
	instant timePattern // of suffixes
}

var _ spec.Namer = (*Names)(nil)

// Key is a partition key that the prefix names.
type Key struct {
	Name   string
	Lambda bool // it comes from the transform, not from the query
}

// Compile checks the options and makes the names of them. Its errors are InvalidArgument and name field, position and
// remedy.
func Compile(o Options) (*Names, error) {
	if o.Field == "" {
		o.Field = "naming"
	}
	n := &Names{o: o}
	var err error
	if n.zone, err = o.location(); err != nil {
		return nil, err
	}
	if o.Extension != "" && (len(o.Extension) > 128 || !extensionForm.MatchString(o.Extension)) {
		return nil, leat.Invalid(o.Field+".extension", "extension %q must begin with a dot and have at most 128 of a-z, 0-9 and !-_.*'()", o.Extension)
	}
	if n.prefix, err = parse(o.Field+".prefix", o.Prefix); err != nil {
		return nil, err
	}
	if n.failed, err = parse(o.Field+".error_prefix", o.ErrorPrefix); err != nil {
		return nil, err
	}
	if err := n.rules(); err != nil {
		return nil, err
	}
	n.uses = uses(n.prefix)
	n.complete()
	return n, n.tryOut()
}

// tryOut makes names of samples, so that a prefix that never makes one is refused when it is given, not when records wait.
func (n *Names) tryOut() error {
	k := spec.Key{Delivery: "d", Oldest: time.Unix(1_700_000_000, 0), Query: map[string]string{}, Lambda: map[string]string{}}
	for _, u := range n.uses {
		if u.Lambda {
			k.Lambda[u.Name] = "k"
		} else {
			k.Query[u.Name] = "k"
		}
	}
	_, err := n.Key(k)
	at := n.o.Field + ".prefix"
	if err == nil {
		k.Error, at = spec.ConversionFailed, n.o.Field+".error_prefix"
		_, err = n.Key(k)
	}
	if e, ok := errors.AsType[*leat.Error](err); ok {
		e.Field = at
	}
	return err
}

var extensionForm = regexp.MustCompile(`^\.[0-9a-z!\-_.*'()]+$`)

func (o *Options) location() (*time.Location, error) {
	name := o.TimeZone
	if name == "Local" {
		return nil, leat.Invalid(o.Field+".time_zone", `time_zone "Local" differs from node to node; name a zone such as Europe/Berlin`)
	}
	zone, err := time.LoadLocation(name)
	if err != nil {
		return nil, leat.Invalid(o.Field+".time_zone", "there is no time zone %q; use a name of the tz database such as Europe/Berlin", name)
	}
	return zone, nil
}

// rules are those that hold between the prefixes.
func (n *Names) rules() error {
	prefix, failed := n.o.Field+".prefix", n.o.Field+".error_prefix"
	keyed := n.prefix.has(fromQuery, fromLambda)
	switch {
	case n.prefix.has(errorOutputType):
		return leat.Invalid(prefix, "prefix must not hold !{firehose:error-output-type}; it belongs into error_prefix")
	case n.failed.has(fromQuery, fromLambda):
		return leat.Invalid(failed, "error_prefix must not hold partition keys: records fail before they have any")
	case keyed && !n.o.Partitioned:
		return leat.Invalid(prefix, "prefix names partition keys, but dynamic partitioning is off; switch it on or take them out")
	case n.o.Partitioned && !keyed:
		return leat.Invalid(prefix, "prefix names no partition key; with dynamic partitioning it must hold !{partitionKeyFromQuery:name} or !{partitionKeyFromLambda:name}")
	case n.o.ErrorPrefix == "" && n.prefix.expressions():
		return leat.Invalid(failed, "error_prefix is required where prefix holds expressions; give one with !{firehose:error-output-type}")
	case n.failed.expressions() && !n.failed.has(errorOutputType):
		return leat.Invalid(failed, "error_prefix holds expressions, so it must hold !{firehose:error-output-type} too")
	}
	for field, t := range map[string]template{prefix: n.prefix, failed: n.failed} {
		for i, p := range t {
			if p.kind != literal {
				continue
			}
			if !utf8.ValidString(p.text) || strings.ContainsFunc(p.text, func(r rune) bool { return r < ' ' || r == 0x7f }) {
				return leat.Invalid(field, "%s holds control characters or is not UTF-8", field)
			}
			if i == 0 && strings.HasPrefix(p.text, "/") || strings.Contains(p.text, "//") {
				return leat.Invalid(field, "%s has an empty part (a slash at its start, or two in a row), which S3-like stores refuse", field)
			}
		}
	}
	return nil
}

// complete adds what Firehose adds by itself. Without expressions and without an error prefix, failed records go to
// <prefix><error-output-type>/yyyy/MM/dd/HH/; Firehose's documents disagree with themselves on the slash and on the day
// of the year there.
func (n *Names) complete() {
	byHour, err := parse("", DefaultTime)
	if err != nil {
		panic(err) // it is a constant
	}
	switch {
	case n.o.ErrorPrefix == "":
		n.failed = slices.Concat(n.prefix, template{{kind: errorOutputType}, {kind: literal, text: "/"}}, byHour)
	case !n.failed.expressions():
		n.failed = slices.Concat(n.failed, template{{kind: errorOutputType}, {kind: literal, text: "/"}}, byHour)
	case !n.failed.has(timestamp):
		n.failed = slices.Concat(n.failed, byHour)
	}
	if !n.prefix.has(timestamp) {
		n.prefix = slices.Concat(n.prefix, byHour)
	}
	var bad *patternError
	if n.instant, bad = parseTime("yyyy-MM-dd-HH-mm-ss"); bad != nil {
		panic(bad.text) // likewise
	}
}

func uses(t template) (keys []Key) {
	for _, p := range t {
		if p.kind != fromQuery && p.kind != fromLambda {
			continue
		}
		if k := (Key{Name: p.text, Lambda: p.kind == fromLambda}); !slices.Contains(keys, k) {
			keys = append(keys, k)
		}
	}
	return keys
}

// Keys are the partition keys that names need, in the order of the prefix.
func (n *Names) Keys() []Key { return slices.Clone(n.uses) }

// Root is what all names begin with, failed ones too.
func (n *Names) Root() string {
	a, b := fixed(n.prefix), fixed(n.failed)
	i := 0
	for i < len(a) && i < len(b) && a[i] == b[i] {
		i++
	}
	return a[:i]
}

func fixed(t template) string {
	if len(t) == 0 || t[0].kind != literal {
		return ""
	}
	return t[0].text
}

// Key returns an object's name: under the error prefix when k.Error says so. An error is InvalidArgument: the partition
// keys make no name, so the records have failed.
func (n *Names) Key(k spec.Key) (string, error) {
	t := n.prefix
	if k.Error != "" {
		t = n.failed
	}
	at := k.Oldest.In(n.zone)
	c := newChance(&k)
	var b strings.Builder
	if err := t.evaluate(&b, at, &k, c); err != nil {
		return "", err
	}
	if chars := utf8.RuneCountInString(b.String()); chars > MaxPrefixChars {
		return "", leat.Invalid("prefix", "the evaluated prefix has %d characters; %d are allowed", chars, MaxPrefixChars)
	}
	b.WriteString(k.Delivery + "-" + strconv.FormatUint(k.Version, 10) + "-")
	n.instant.format(&b, at)
	b.WriteString("-" + c.uuid())
	switch {
	case k.Error != "": // what failed is written in a form of its own
	case n.o.Extension != "":
		b.WriteString(n.o.Extension)
	default:
		b.WriteString(n.o.Default)
	}
	return b.String(), sound(b.String())
}

// sound refuses names that a store may refuse or read as another one.
func sound(name string) error {
	if len(name) > MaxKeyBytes {
		return leat.Invalid("prefix", "the object's name would have %d bytes; %d are allowed", len(name), MaxKeyBytes)
	}
	if !utf8.ValidString(name) || strings.ContainsFunc(name, func(r rune) bool { return r < ' ' || r == 0x7f }) {
		return leat.Invalid("prefix", "the object's name would hold control characters or what is not UTF-8")
	}
	for _, p := range strings.Split(name, "/") {
		switch {
		case p == "" || p == "." || p == "..":
			return leat.Invalid("prefix", "the object's name would have a part %q between its slashes", p)
		case len(p) > MaxPartBytes:
			return leat.Invalid("prefix", "the object's name would have a part of %d bytes between its slashes; %d are allowed", len(p), MaxPartBytes)
		}
	}
	return nil
}

// chance stands for randomness: a hash of what the object is.
type chance struct {
	seed [sha256.Size]byte
	n    uint64
}

func newChance(k *spec.Key) *chance {
	h := sha256.New()
	field := func(s string) {
		_ = binary.Write(h, binary.LittleEndian, uint32(len(s))) // a hash takes everything
		h.Write([]byte(s))
	}
	h.Write(k.Seed[:])
	field(strconv.Itoa(k.Part))
	field(string(k.Error))
	for _, keys := range []map[string]string{k.Query, k.Lambda} {
		_ = binary.Write(h, binary.LittleEndian, uint32(len(keys)))
		for _, name := range slices.Sorted(maps.Keys(keys)) {
			field(name)
			field(keys[name])
		}
	}
	c := new(chance)
	h.Sum(c.seed[:0])
	return c
}

// next returns the next 32 bytes.
func (c *chance) next(what string) [sha256.Size]byte {
	b := binary.LittleEndian.AppendUint64(append(c.seed[:len(c.seed):len(c.seed)], what...), c.n)
	c.n++
	return sha256.Sum256(b)
}

// text is Firehose's random-string: 11 letters and digits. Each one in a prefix differs.
func (c *chance) text() string {
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
	h := c.next("text")
	var b [11]byte
	for i := range b {
		b[i] = alphabet[binary.LittleEndian.Uint16(h[2*i:])%uint16(len(alphabet))]
	}
	return string(b[:])
}

// uuid has the form of RFC 9562's version 8, which is for hashes of one's own.
func (c *chance) uuid() string {
	c.n = 0
	h := c.next("uuid")
	h[6], h[8] = h[6]&0x0f|0x80, h[8]&0x3f|0x80
	s := hex.EncodeToString(h[:16])
	return s[:8] + "-" + s[8:12] + "-" + s[12:16] + "-" + s[16:20] + "-" + s[20:]
}
