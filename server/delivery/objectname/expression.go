// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package objectname

import (
	"fmt"
	"strings"
	"time"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/server/delivery/spec"
)

// part is a piece of a prefix: text, or an expression with a namespace.
type part struct {
	kind  partKind
	text  string      // of literals; the name of partition keys
	clock timePattern // of timestamps
}

type partKind uint8

const (
	literal partKind = iota
	timestamp
	randomString
	errorOutputType
	fromQuery
	fromLambda
)

// template is a compiled prefix.
type template []part

// parse compiles a prefix. Errors name the field, the position (bytes from 0) and what to write instead.
func parse(field, s string) (template, error) {
	var t template
	for at := 0; at < len(s); {
		open := strings.Index(s[at:], "!{")
		if open < 0 {
			return append(t, part{kind: literal, text: s[at:]}), nil
		}
		if open > 0 {
			t = append(t, part{kind: literal, text: s[at : at+open]})
		}
		at += open
		body, end, ok := expression(s, at+2)
		if !ok {
			return nil, invalid(field, at, "the expression has no closing brace; write !{namespace:value}")
		}
		p, err := compile(field, body, at)
		if err != nil {
			return nil, err
		}
		t = append(t, p)
		at = end
	}
	return t, nil
}

// expression returns what stands between from and the closing brace, which may be quoted as in a time pattern.
func expression(s string, from int) (body string, end int, ok bool) {
	quoted := false
	for i := from; i < len(s); i++ {
		switch {
		case s[i] == '\'':
			quoted = !quoted
		case s[i] == '}' && !quoted:
			return s[from:i], i + 1, true
		}
	}
	// A quote that is never closed is an error of the pattern, which tells it better.
	if i := strings.IndexByte(s[from:], '}'); i >= 0 {
		return s[from : from+i], from + i + 1, true
	}
	return "", 0, false
}

// compile makes a part of one expression, which begins at a position.
func compile(field, body string, at int) (part, error) {
	namespace, value, ok := strings.Cut(body, ":")
	if !ok {
		return part{}, invalid(field, at, "!{%s} has no value; write !{namespace:value}", body)
	}
	if strings.Contains(value, "!{") {
		return part{}, invalid(field, at, "an expression stands inside !{%s…; expressions cannot be nested", namespace)
	}
	where := at + len("!{") + len(namespace) + 1
	switch namespace {
	case "timestamp":
		p, err := parseTime(value)
		if err != nil {
			return part{}, invalid(field, where+err.at, "%s", err.text)
		}
		return part{kind: timestamp, clock: p}, nil
	case "firehose":
		switch value {
		case "random-string":
			return part{kind: randomString}, nil
		case "error-output-type":
			return part{kind: errorOutputType}, nil
		}
		return part{}, invalid(field, where, "the namespace firehose has no value %q; use random-string or error-output-type", value)
	case "partitionKeyFromQuery", "partitionKeyFromLambda":
		if value == "" {
			return part{}, invalid(field, where, "the partition key has no name; write !{%s:name}", namespace)
		}
		kind := fromQuery
		if namespace == "partitionKeyFromLambda" {
			kind = fromLambda
		}
		return part{kind: kind, text: value}, nil
	}
	return part{}, invalid(field, at+2, "there is no namespace %q; use timestamp, firehose, partitionKeyFromQuery or partitionKeyFromLambda", namespace)
}

func invalid(field string, at int, format string, args ...any) error {
	return leat.Invalid(field, "%s, position %d: %s", field, at, fmt.Sprintf(format, args...))
}

// has tells whether a prefix holds a kind of part.
func (t template) has(kinds ...partKind) bool {
	for _, p := range t {
		for _, k := range kinds {
			if p.kind == k {
				return true
			}
		}
	}
	return false
}

// expressions tells whether anything is evaluated.
func (t template) expressions() bool {
	return t.has(timestamp, randomString, errorOutputType, fromQuery, fromLambda)
}

// evaluate appends what a prefix stands for.
func (t template) evaluate(b *strings.Builder, at time.Time, k *spec.Key, chance *chance) error {
	for i := range t {
		switch p := &t[i]; p.kind {
		case literal:
			b.WriteString(p.text)
		case timestamp:
			p.clock.format(b, at)
		case randomString:
			b.WriteString(chance.text())
		case errorOutputType:
			b.WriteString(string(k.Error))
		case fromQuery:
			if err := key(b, k.Query, p.text, "query"); err != nil {
				return err
			}
		case fromLambda:
			if err := key(b, k.Lambda, p.text, "transform"); err != nil {
				return err
			}
		}
	}
	return nil
}

// key appends a partition key's value.
func key(b *strings.Builder, keys map[string]string, name, from string) error {
	value, ok := keys[name]
	switch {
	case !ok:
		return leat.Invalid("partition_keys", "the %s gave no partition key %q, which the prefix names", from, name)
	case value == "":
		return leat.Invalid("partition_keys", "the partition key %q is empty", name)
	}
	b.WriteString(value)
	return nil
}
