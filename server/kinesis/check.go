// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package kinesis

import (
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// A `check` tag holds the constraints that AWS's model puts on a member, separated by commas:
//
//	required          the member must be there
//	len=1..128        characters of a string, or bytes of a blob
//	range=1..10000    of a number
//	items=1..500      of a list or map
//	pattern=NAME      a pattern of patterns.go
//	enum=A|B          one of these; told in this order
//	each=1..128       characters of every string of a list
//	eachEnum=A|B      every string of a list is one of these
//	keys=1..128       characters of every key of a map
//	values=0..256     characters of every value of a map
//	reserved          must not be true: what it asks for is not built
//
// Structs and lists of structs are walked. A finding is told in AWS's words, of ten at most.

// maxFindings is how many findings one ValidationException joins.
const maxFindings = 10

// check holds an input against its constraints: a ValidationException, or nil.
func check(in any) error {
	var f findings
	f.structure(reflect.ValueOf(in).Elem(), "")
	if f.refusal != nil {
		return f.refusal
	}
	if len(f.list) == 0 {
		return nil
	}
	noun := "errors"
	if len(f.list) == 1 {
		noun = "error"
	}
	return &awsError{Type: "ValidationException", Message: fmt.Sprintf("%d validation %s detected: %s", len(f.list), noun, strings.Join(f.list, "; "))}
}

type findings struct {
	list    []string
	refusal error
}

// add notes that a value breaks a constraint.
func (f *findings) add(value, path, constraint string) {
	if len(f.list) < maxFindings {
		f.list = append(f.list, "Value "+value+" at '"+path+"' failed to satisfy constraint: "+constraint)
	}
}

func (f *findings) structure(v reflect.Value, path string) {
	t := v.Type()
	for i := range t.NumField() {
		name, _, _ := strings.Cut(t.Field(i).Tag.Get("json"), ",")
		if name == "" || name == "-" {
			continue
		}
		name = path + strings.ToLower(name[:1]) + name[1:]
		f.member(v.Field(i), name, t.Field(i).Tag.Get("check"))
	}
}

// member checks one member and what stands in it.
func (f *findings) member(v reflect.Value, path, rules string) {
	if (v.Kind() == reflect.Pointer || v.Kind() == reflect.Slice || v.Kind() == reflect.Map) && v.IsNil() {
		if has(rules, "required") {
			f.add("null", path, "Member must not be null")
		}
		return
	}
	if v.Kind() == reflect.Pointer {
		v = v.Elem()
	}
	for rule := range strings.SplitSeq(rules, ",") {
		name, arg, _ := strings.Cut(rule, "=")
		f.rule(v, path, name, arg)
	}
	switch {
	case v.Type() == reflect.TypeFor[timestamp]():
	case v.Kind() == reflect.Struct:
		f.structure(v, path+".")
	case v.Kind() == reflect.Slice && v.Type().Elem().Kind() == reflect.Struct:
		for i := range v.Len() {
			f.structure(v.Index(i), path+"."+strconv.Itoa(i+1)+".member.")
		}
	}
}

func has(rules, rule string) bool { return slices.Contains(strings.Split(rules, ","), rule) }

// rule checks one constraint. Patterns come before lengths, and upper bounds before lower ones, as AWS tells them.
func (f *findings) rule(v reflect.Value, path, name, arg string) {
	switch name {
	case "len", "items":
		n := 0
		if v.Kind() == reflect.String {
			n = utf8.RuneCountInString(v.String())
		} else {
			n = v.Len()
		}
		f.bounds(int64(n), arg, "Member must have length", func() string { return echo(v) }, path)
	case "range":
		f.bounds(v.Int(), arg, "Member must have value", func() string { return echo(v) }, path)
	case "pattern":
		if p := patternOf(arg); !p.match(v.String()) {
			f.add(echo(v), path, "Member must satisfy regular expression pattern: "+p.text)
		}
	case "enum":
		if !oneOf(v.String(), arg) {
			f.add(echo(v), path, enumText(arg))
		}
	case "each", "eachEnum", "keys", "values":
		f.every(v, path, name, arg)
	case "reserved":
		if v.Kind() == reflect.Bool && v.Bool() && f.refusal == nil {
			f.refusal = &awsError{Type: "InvalidArgumentException", Message: path + " is not supported by this server"}
		}
	}
}

// bounds checks lo..hi.
func (f *findings) bounds(n int64, arg, what string, value func() string, path string) {
	lo, hi := limits(arg)
	if n > hi {
		f.add(value(), path, fmt.Sprintf("%s less than or equal to %d", what, hi))
	}
	if n < lo {
		f.add(value(), path, fmt.Sprintf("%s greater than or equal to %d", what, lo))
	}
}

// limits reads lo..hi. A tag that does not read is a mistake of ours, found by the first request that meets it.
func limits(arg string) (lo, hi int64) {
	first, last, _ := strings.Cut(arg, "..")
	lo, err1 := strconv.ParseInt(first, 10, 64)
	hi, err2 := strconv.ParseInt(last, 10, 64)
	if err1 != nil || err2 != nil {
		panic("kinesis: bad bounds in a check tag: " + arg)
	}
	return lo, hi
}

func oneOf(s, set string) bool { return slices.Contains(strings.Split(set, "|"), s) }

func enumText(set string) string {
	return "Member must satisfy enum value set: [" + strings.ReplaceAll(set, "|", ", ") + "]"
}

// every checks the strings in a list or map; one finding stands for all of them.
func (f *findings) every(v reflect.Value, path, name, arg string) {
	subject := map[string]string{"each": "Member", "eachEnum": "Member", "keys": "Map keys", "values": "Map value"}[name]
	for _, s := range strs(v, name == "keys") {
		if name == "eachEnum" {
			if !oneOf(s, arg) {
				f.add(echo(v), path, subject+" must satisfy constraint: ["+enumText(arg)+"]")
				return
			}
			continue
		}
		lo, hi := limits(arg)
		if n := int64(utf8.RuneCountInString(s)); n < lo || n > hi {
			f.add(echo(v), path, fmt.Sprintf("%s must satisfy constraint: [Member must have length less than or equal to %d, Member must have length greater than or equal to %d]", subject, hi, lo))
			return
		}
	}
}

// strs returns the strings in a list, or the keys or values of a map.
func strs(v reflect.Value, keys bool) (all []string) {
	if v.Kind() == reflect.Slice {
		for i := range v.Len() {
			all = append(all, text(v.Index(i)))
		}
		return all
	}
	for i := v.MapRange(); i.Next(); {
		if keys {
			all = append(all, i.Key().String())
		} else {
			all = append(all, text(i.Value()))
		}
	}
	return all
}

// text reads a string or a pointer to one.
func text(v reflect.Value) string {
	if v.Kind() == reflect.Pointer {
		if v.IsNil() {
			return ""
		}
		v = v.Elem()
	}
	return v.String()
}

// maxEcho is how many bytes of a value are told back.
const maxEcho = 256

// echo shows a value as AWS does, cut where it is long.
func echo(v reflect.Value) string {
	switch {
	case v.Kind() == reflect.String:
		return "'" + cut(v.String(), maxEcho) + "'"
	case isBlob(v.Type()):
		return fmt.Sprintf("'java.nio.HeapByteBuffer[pos=0 lim=%d cap=%d]'", v.Len(), v.Len())
	case v.Kind() == reflect.Slice && v.Type().Elem().Kind() == reflect.Struct && v.Len() > 0:
		return fmt.Sprintf("'[%d members]'", v.Len())
	case v.Kind() == reflect.Slice:
		return "'[" + cut(strings.Join(strs(v, false), ", "), maxEcho) + "]'"
	case v.Kind() == reflect.Map:
		keys := strs(v, true)
		slices.Sort(keys)
		return "'{" + cut(strings.Join(keys, ", "), maxEcho) + "}'"
	}
	return fmt.Sprintf("'%v'", v.Interface())
}

// cut shortens text to n bytes, between characters.
func cut(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n] + "…"
}
