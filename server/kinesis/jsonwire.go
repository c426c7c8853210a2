// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package kinesis

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"math"
	"reflect"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Bounds of the form of a request.
const (
	// maxDepth is how deep values may stand in each other; the API's own stand three deep.
	maxDepth = 16
	// maxListed is how many members of a list are kept: one more than any list may have, so that constraints refuse it
	// by its number. Those after it are only read over.
	maxListed = 501
)

// jsonWire is application/x-amz-json-1.1.
type jsonWire struct{}

func (jsonWire) contentType() string { return contentJSON }

func (jsonWire) writer(b []byte) writer { return writer{b: b} }

func (jsonWire) append(b []byte, out any) ([]byte, error) {
	buf := bytes.NewBuffer(b)
	e := json.NewEncoder(buf)
	e.SetEscapeHTML(false)
	if err := e.Encode(out); err != nil {
		return b, err
	}
	return bytes.TrimSuffix(buf.Bytes(), []byte("\n")), nil
}

func (w jsonWire) appendError(b []byte, e *awsError) []byte {
	out, err := w.append(b, e.Body())
	if err != nil {
		return b // a map of strings is always encoded
	}
	return out
}

var errMalformed = errors.New("malformed")

// decode reads one JSON object and nothing after it. Members that the input does not have are passed over, a null is an
// absent member. Unlike encoding/json it compares names as they are, and refuses a name that comes twice, bytes that
// are not UTF-8 and halves of surrogate pairs, rather than to guess or replace what a producer meant.
func (jsonWire) decode(body []byte, in any) error {
	if !utf8.Valid(body) || !json.Valid(body) || halfSurrogate(body) {
		return serialization("the request's body is not valid JSON")
	}
	b := binder{json.NewDecoder(bytes.NewReader(body))}
	b.dec.UseNumber()
	t, err := b.dec.Token()
	if err != nil {
		return serialization("the request's body is not valid JSON")
	}
	if t != json.Delim('{') {
		return serialization("the request's body is not a JSON object")
	}
	err = b.object(reflect.ValueOf(in).Elem(), 1)
	var told *awsError
	if err != nil && !errors.As(err, &told) {
		return serialization("the request's body is not valid JSON")
	}
	return err
}

// binder reads the tokens of valid JSON into a value.
type binder struct{ dec *json.Decoder }

// object reads the members of a struct, after its brace.
func (b binder) object(v reflect.Value, depth int) error {
	seen := map[string]bool{} // of known names alone: a body cannot make it large
	for b.dec.More() {
		name, err := b.name()
		if err != nil {
			return err
		}
		if field := member(v, name); !field.IsValid() {
			err = b.skip(depth)
		} else if seen[name] {
			err = errTwice(name)
		} else {
			seen[name] = true
			err = b.value(field, depth)
		}
		if err != nil {
			return err
		}
	}
	_, err := b.dec.Token()
	return err
}

func (b binder) name() (string, error) {
	t, err := b.dec.Token()
	name, _ := t.(string) // a name of valid JSON is one
	return name, err
}

func errTwice(name string) error {
	return serialization("the member '" + cut(name, 64) + "' comes twice")
}

// member finds the field that has a name on the wire; the zero Value when there is none.
func member(v reflect.Value, name string) reflect.Value {
	t := v.Type()
	for i := range t.NumField() {
		tag, _, _ := strings.Cut(t.Field(i).Tag.Get("json"), ",")
		if tag == name && tag != "" {
			return v.Field(i)
		}
	}
	return reflect.Value{}
}

// value reads one value into a field.
func (b binder) value(v reflect.Value, depth int) error {
	t, err := b.dec.Token()
	if err != nil {
		return err
	}
	if t == nil {
		return nil
	}
	if v.Kind() == reflect.Pointer {
		v.Set(reflect.New(v.Type().Elem()))
		v = v.Elem()
	}
	switch t := t.(type) {
	case json.Delim:
		if depth++; depth > maxDepth {
			return errDeep()
		}
		if t == '[' {
			return b.list(v, depth)
		}
		return b.structure(v, depth)
	case string:
		return setString(v, t)
	case json.Number:
		return setNumber(v, t)
	case bool:
		if v.Kind() != reflect.Bool {
			return clash(v, "class java.lang.Boolean")
		}
		v.SetBool(t)
	}
	return nil
}

func errDeep() error { return serialization("the request's body is nested too deep") }

func (b binder) list(v reflect.Value, depth int) error {
	if v.Kind() != reflect.Slice || isBlob(v.Type()) {
		return serialization("Unrecognized collection type class " + javaClass(v.Type()))
	}
	v.Set(reflect.MakeSlice(v.Type(), 0, 0))
	for b.dec.More() {
		item := reflect.New(v.Type().Elem()).Elem()
		if err := b.value(item, depth); err != nil {
			return err
		}
		if v.Len() < maxListed {
			v.Set(reflect.Append(v, item))
		}
	}
	_, err := b.dec.Token()
	return err
}

func (b binder) structure(v reflect.Value, depth int) error {
	switch {
	case v.Type() == reflect.TypeFor[timestamp]():
	case v.Kind() == reflect.Struct:
		return b.object(v, depth)
	case v.Kind() == reflect.Map:
		return b.dictionary(v, depth)
	}
	return serialization("Start of structure or map found where not expected.")
}

// dictionary reads a map of strings. As of a list, no more is kept than can be refused.
func (b binder) dictionary(v reflect.Value, depth int) error {
	v.Set(reflect.MakeMap(v.Type()))
	for b.dec.More() {
		name, err := b.name()
		if err != nil {
			return err
		}
		if v.MapIndex(reflect.ValueOf(name)).IsValid() {
			return errTwice(name)
		}
		item := reflect.New(v.Type().Elem()).Elem()
		if err := b.value(item, depth); err != nil {
			return err
		}
		if v.Len() < maxListed {
			v.SetMapIndex(reflect.ValueOf(name), item)
		}
	}
	_, err := b.dec.Token()
	return err
}

// skip reads over a value that nobody asked for.
func (b binder) skip(depth int) error {
	for open := 0; ; {
		t, err := b.dec.Token()
		if err != nil {
			return err
		}
		switch t {
		case json.Delim('{'), json.Delim('['):
			if open++; depth+open > maxDepth {
				return errDeep()
			}
		case json.Delim('}'), json.Delim(']'):
			open--
		}
		if open == 0 {
			return nil
		}
	}
}

func setString(v reflect.Value, s string) error {
	switch {
	case isBlob(v.Type()):
		data, err := base64.StdEncoding.Strict().DecodeString(s)
		if err != nil || strings.ContainsAny(s, "\r\n") {
			return badBlob(s)
		}
		v.SetBytes(data)
	case v.Kind() == reflect.String:
		v.SetString(s)
	default:
		return clash(v, "class java.lang.String")
	}
	return nil
}

// badBlob says what is wrong with base64, in AWS's words.
func badBlob(s string) error {
	if len(s)%4 != 0 {
		return serialization("'" + cut(s, 64) + "' can not be converted to a Blob: Base64 encoded length is expected a multiple of 4 bytes but found: " + itoa(len(s)))
	}
	for i, c := range s {
		late := c == '=' && i < len(s)-2
		if late || !isAlnum(c) && c != '+' && c != '/' && c != '=' {
			return serialization("'" + cut(s, 64) + "' can not be converted to a Blob: Invalid Base64 character: '" + string(c) + "'")
		}
	}
	return serialization("'" + cut(s, 64) + "' can not be converted to a Blob: Invalid last non-pad Base64 character dectected")
}

// setNumber takes whole numbers as they are, cuts off a fraction and bounds what is too large, as AWS does.
func setNumber(v reflect.Value, n json.Number) error {
	const number = "class com.amazon.coral.value.json.numbers.TruncatingBigNumber"
	f, err := strconv.ParseFloat(n.String(), 64)
	if err != nil && !errors.Is(err, strconv.ErrRange) {
		return errMalformed // cannot be: it was valid JSON
	}
	switch {
	case v.Type() == reflect.TypeFor[timestamp]():
		t, ok := fromMillis(f * 1000)
		if !ok {
			return serialization(number + " can not be converted to milliseconds since epoch")
		}
		v.Set(reflect.ValueOf(t))
	case v.CanInt():
		i, err := strconv.ParseInt(n.String(), 10, 64)
		if err != nil {
			i = whole(f)
		}
		highest := int64(math.MaxInt64) >> (64 - v.Type().Bits())
		i = max(min(i, highest), -highest-1)
		v.SetInt(i)
	default:
		return clash(v, number)
	}
	return nil
}

// whole cuts off a fraction and stays within 64 bits.
func whole(f float64) int64 {
	switch {
	case f >= math.MaxInt64:
		return math.MaxInt64
	case f <= math.MinInt64:
		return math.MinInt64
	}
	return int64(f)
}

func isBlob(t reflect.Type) bool {
	return t.Kind() == reflect.Slice && t.Elem().Kind() == reflect.Uint8
}

// clash says that a value of one class cannot be what a member is, as AWS words it.
func clash(v reflect.Value, class string) error {
	switch {
	case isBlob(v.Type()):
		return serialization(class + " can not be converted to a Blob")
	case v.Type() == reflect.TypeFor[timestamp]():
		return serialization(class + " can not be converted to milliseconds since epoch")
	case v.Kind() == reflect.Slice:
		return serialization("Expected list or null")
	case v.Kind() == reflect.Map:
		return serialization("Expected map or null")
	case v.Kind() == reflect.Struct:
		return serialization("Expected null")
	}
	_, name := javaName(v.Type())
	return serialization(class + " can not be converted to an " + name)
}

func javaClass(t reflect.Type) string {
	pkg, name := javaName(t)
	return pkg + "." + name
}

func javaName(t reflect.Type) (pkg, name string) {
	switch {
	case isBlob(t):
		return "java.nio", "ByteBuffer"
	case t == reflect.TypeFor[timestamp]():
		return "java.util", "Date"
	case t.Kind() == reflect.Bool:
		return "java.lang", "Boolean"
	case t.Kind() == reflect.Int64:
		return "java.lang", "Long"
	case t.Kind() == reflect.Int, t.Kind() == reflect.Int32:
		return "java.lang", "Integer"
	case t.Kind() == reflect.String:
		return "java.lang", "String"
	}
	return "java.lang", "Object"
}

// halfSurrogate tells whether valid JSON has an escape \ud800 to \udfff that is not one of a pair.
func halfSurrogate(body []byte) bool {
	for {
		i := bytes.IndexByte(body, '\\')
		if i < 0 {
			return false
		}
		body = body[i:]
		n := 2
		if body[1] == 'u' {
			switch first := hex4(body[2:]); {
			case first >= 0xdc00 && first < 0xe000:
				return true
			case first >= 0xd800 && first < 0xdc00:
				if len(body) < 12 || body[6] != '\\' || body[7] != 'u' {
					return true
				}
				if second := hex4(body[8:]); second < 0xdc00 || second >= 0xe000 {
					return true
				}
				n = 12
			default:
				n = 6
			}
		}
		body = body[n:]
	}
}

// hex4 reads four hexadecimal digits; -1 where there are none.
func hex4(b []byte) rune {
	if len(b) < 4 {
		return -1
	}
	n, err := strconv.ParseUint(string(b[:4]), 16, 16)
	if err != nil {
		return -1
	}
	return rune(n)
}
