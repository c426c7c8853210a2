// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"

	"github.com/leatstream/leat"
)

// keyFlags say where a record's partition key comes from.
type keyFlags struct {
	Key       string `help:"Partition key of every record; with --key-column or --key-json, of lines that have no such value." placeholder:"KEY"`
	KeyColumn int    `help:"Take the key from column N of the line, from 1." placeholder:"N" xor:"key"`
	Separator string `help:"What separates columns (\\t for a tab). Default: runs of spaces and tabs." placeholder:"TEXT"`
	KeyJSON   string `name:"key-json" help:"Take the key from this field of a JSON line, such as user.id." placeholder:"FIELD.PATH" xor:"key"`
}

// keyFunc finds the partition key of a line.
type keyFunc func(data []byte) (string, error)

// keyFunc returns the function that the flags ask for. With no flag at all each record gets a key of its own, so that
// records go round all shards.
func (f *keyFlags) keyFunc(random *rand.Rand) (keyFunc, error) {
	switch {
	case f.KeyColumn < 0:
		return nil, leat.Invalid("key-column", "--key-column %d: columns are counted from 1", f.KeyColumn)
	case f.Separator != "" && f.KeyColumn == 0:
		return nil, leat.Invalid("separator", "--separator needs --key-column")
	case f.KeyColumn > 0:
		return f.orElse(columnKey(f.KeyColumn, unescape(f.Separator))), nil
	case f.KeyJSON != "":
		return f.orElse(jsonKey(f.KeyJSON)), nil
	case f.Key != "":
		return func([]byte) (string, error) { return f.Key, nil }, nil
	}
	return func([]byte) (string, error) { return fmt.Sprintf("%016x", random.Uint64()), nil }, nil
}

// orElse falls back to --key for lines without a key of their own.
func (f *keyFlags) orElse(find keyFunc) keyFunc {
	return func(data []byte) (string, error) {
		key, err := find(data)
		if err == nil && key == "" {
			err = leat.Invalid("key", "its key is empty")
		}
		if err == nil {
			return key, nil
		}
		if f.Key != "" {
			return f.Key, nil
		}
		return "", leat.Invalid("key", "%v: give --key for such lines", err)
	}
}

func unescape(sep string) string {
	return strings.NewReplacer(`\t`, "\t", `\\`, `\`).Replace(sep)
}

// columnKey takes column n, from 1. No separator means runs of white space, as awk reads lines.
func columnKey(n int, sep string) keyFunc {
	return func(data []byte) (string, error) {
		have := 0
		if sep == "" {
			for f := range bytes.FieldsSeq(data) {
				if have++; have == n {
					return string(f), nil
				}
			}
		} else {
			for f := range bytes.SplitSeq(data, []byte(sep)) {
				if have++; have == n {
					return string(f), nil
				}
			}
		}
		return "", leat.Invalid("key-column", "it has no column %d (it has %d)", n, have)
	}
}

// jsonKey walks field.path through objects, and through arrays by index. Strings, numbers and booleans are keys.
func jsonKey(path string) keyFunc {
	steps := strings.Split(path, ".")
	return func(data []byte) (string, error) {
		if !json.Valid(data) {
			return "", leat.Invalid("key-json", "it is not JSON")
		}
		value := json.RawMessage(data)
		for i, step := range steps {
			next, ok := child(value, step)
			if !ok {
				return "", leat.Invalid("key-json", "it has no field %s", strings.Join(steps[:i+1], "."))
			}
			value = next
		}
		return scalar(value, path)
	}
}

func child(value json.RawMessage, step string) (json.RawMessage, bool) {
	var object map[string]json.RawMessage
	if json.Unmarshal(value, &object) == nil {
		v, ok := object[step]
		return v, ok
	}
	var array []json.RawMessage
	i, err := strconv.Atoi(step)
	if err != nil || json.Unmarshal(value, &array) != nil || i < 0 || i >= len(array) {
		return nil, false
	}
	return array[i], true
}

func scalar(value json.RawMessage, path string) (string, error) {
	value = bytes.TrimSpace(value)
	switch {
	case len(value) == 0 || value[0] == '{' || value[0] == '[' || string(value) == "null":
		return "", leat.Invalid("key-json", "its field %s is not a string, number or boolean", path)
	case value[0] == '"':
		var s string
		err := json.Unmarshal(value, &s)
		return s, err
	}
	return string(value), nil
}
