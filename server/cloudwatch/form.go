// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package cloudwatch

import (
	"encoding"
	"net/url"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/fxamacker/cbor/v2"
)

// node is a part of a form of the Query protocol, whose names are paths: MetricDataQueries.member.1.Id.
type node struct {
	value *string
	parts map[string]*node
	taken bool // what it holds has been read, or has been looked into
}

// What bounds a form: parameters, bytes of a name, and parts of one. The longest that there is has 16 parts or so.
const (
	maxParts = 20_000
	maxPath  = 256
	maxDepth = 32
)

func parseForm(body string) (*node, error) {
	values, err := url.ParseQuery(body)
	if err != nil {
		return nil, errNotRead("a form")
	}
	if len(values) > maxParts {
		return nil, refuse("a request with %d parameters: %d at most", len(values), maxParts)
	}
	root := &node{}
	for name, all := range values {
		if len(all) > 1 {
			return nil, refuse("%.80s is given %d times", name, len(all))
		}
		if len(name) > maxPath || strings.Count(name, ".") >= maxDepth {
			return nil, refuse("the parameter %.80s… has a longer name than any that there is", name)
		}
		at := root
		for part := range strings.SplitSeq(name, ".") {
			next := at.parts[part]
			if next == nil {
				next = &node{}
				if at.parts == nil {
					at.parts = map[string]*node{}
				}
				at.parts[part] = next
			}
			at = next
		}
		at.value = &all[0]
	}
	return root, nil
}

// take returns a value of the first level, and says that it is read.
func (n *node) take(name string) string {
	p := n.parts[name]
	if p == nil || p.value == nil {
		return ""
	}
	p.taken = true
	return *p.value
}

// fill reads a form into a struct. What the struct has no member for is refused by its name.
func (n *node) fill(in any) error {
	if err := n.into(reflect.ValueOf(in).Elem(), ""); err != nil {
		return err
	}
	if name := n.left(""); name != "" {
		return errMember(name)
	}
	return nil
}

// left is the name of something that nobody read; empty when there is nothing.
func (n *node) left(name string) string {
	if n.value != nil && !n.taken {
		return name
	}
	for _, part := range sorted(n.parts) {
		if l := n.parts[part].left(strings.TrimPrefix(name+"."+part, ".")); l != "" {
			return l
		}
	}
	return ""
}

func sorted(parts map[string]*node) []string {
	names := make([]string, 0, len(parts))
	for name := range parts {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

func (n *node) into(v reflect.Value, name string) error {
	if t, ok := v.Addr().Interface().(encoding.TextUnmarshaler); ok {
		text, err := n.text(name)
		if err != nil {
			return err
		}
		if t.UnmarshalText([]byte(text)) != nil {
			return refuse("%s: %.80q is not a time", name, text)
		}
		return nil
	}
	switch v.Kind() {
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		return n.into(v.Elem(), name)
	case reflect.Struct:
		for i := range v.NumField() {
			field := v.Type().Field(i).Name
			if part := n.parts[field]; part != nil {
				if err := part.into(v.Field(i), strings.TrimPrefix(name+"."+field, ".")); err != nil {
					return err
				}
			}
		}
		return nil
	case reflect.Slice:
		return n.elements(v, name)
	}
	return n.leaf(v, name)
}

// elements reads X.member.1, X.member.2 and so on.
func (n *node) elements(v reflect.Value, name string) error {
	if n.value != nil && *n.value == "" {
		n.taken = true // an empty list
	}
	members := n.parts["member"]
	if members == nil {
		return nil
	}
	for i := 1; ; i++ {
		at := members.parts[strconv.Itoa(i)]
		if at == nil {
			return nil
		}
		v.Set(reflect.Append(v, reflect.Zero(v.Type().Elem())))
		if err := at.into(v.Index(i-1), name+".member."+strconv.Itoa(i)); err != nil {
			return err
		}
	}
}

func (n *node) text(name string) (string, error) {
	if n.value == nil {
		return "", refuse("%s has parts, and should be one value", name)
	}
	n.taken = true
	return *n.value, nil
}

func (n *node) leaf(v reflect.Value, name string) error {
	text, err := n.text(name)
	if err != nil {
		return err
	}
	switch v.Kind() {
	case reflect.String:
		v.SetString(text)
	case reflect.Bool:
		b, err := strconv.ParseBool(text)
		if err != nil {
			return refuse("%s: %.80q is neither true nor false", name, text)
		}
		v.SetBool(b)
	default: // inputs have no other
		i, err := strconv.ParseInt(text, 10, 32)
		if err != nil {
			return refuse("%s: %.80q is not a number", name, text)
		}
		v.SetInt(i)
	}
	return nil
}

// unknownIn is the name of a member that an input does not have, in what a decoder has found one.
func unknownIn(all map[string]cbor.RawMessage, in any) string {
	t := reflect.TypeOf(in).Elem()
	for name := range all {
		if _, ok := t.FieldByName(name); !ok {
			return name
		}
	}
	return ""
}
