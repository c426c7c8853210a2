// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package journal_test

import (
	"encoding"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/leatstream/leat/server/journal"
)

var update = flag.Bool("update", false, "write the members of the present form")

// What an entry has is what its form says. An older program refuses members that it does not know, and a newer one must
// know that older ones did not write them: the form rises with each.
func TestFormRisesWithItsMembers(t *testing.T) {
	var lines []string
	members(reflect.TypeFor[journal.Entry](), map[reflect.Type]bool{}, &lines)
	slices.Sort(lines)
	got := strings.Join(lines, "\n") + "\n"
	file := filepath.Join("testdata", fmt.Sprintf("form-%d.txt", journal.Form))
	want, err := os.ReadFile(file)
	if *update && os.IsNotExist(err) {
		err = os.WriteFile(file, []byte(got), 0o600)
		want = []byte(got)
	}
	if err != nil {
		t.Fatal(err)
	}
	if string(want) != got {
		t.Errorf("an Entry has other members than form %d: raise Form and write its file with -update; the older ones stay\n--- %s\n%s--- now\n%s", journal.Form, file, want, got)
	}
}

// members lists the members of a type, and of the types in it, as JSON has them.
func members(of reflect.Type, seen map[reflect.Type]bool, lines *[]string) {
	for of.Kind() == reflect.Pointer || of.Kind() == reflect.Slice || of.Kind() == reflect.Map {
		of = of.Elem()
	}
	if of.Kind() != reflect.Struct || seen[of] || reflect.PointerTo(of).Implements(reflect.TypeFor[encoding.TextMarshaler]()) {
		return
	}
	seen[of] = true
	for f := range of.Fields() {
		*lines = append(*lines, fmt.Sprintf("%s.%s %s %q", of, f.Name, f.Type, f.Tag.Get("json")))
		members(f.Type, seen, lines)
	}
}
