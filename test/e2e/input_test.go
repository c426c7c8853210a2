// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package e2e_test

import (
	"bufio"
	"compress/gzip"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// inputLines is how many lines are put at least: enough for a kill to land in their middle.
const inputLines = 60_000

// realInput returns the lines of this machine's /var/log/dpkg.log*, as zcat -f prints them, again and again until there
// are enough. Where there is no such log it makes one up. Lines that stand there twice are part of the test.
func realInput(t *testing.T) []string {
	t.Helper()
	names, err := filepath.Glob("/var/log/dpkg.log*")
	if err != nil {
		t.Fatal(err)
	}
	var once []string
	for _, name := range names {
		once = append(once, readLines(t, name)...)
	}
	once = slices.DeleteFunc(once, func(line string) bool { return column3(line) == "" })
	once = once[:min(len(once), inputLines)] // a log of years takes longer than a test may
	if len(once) == 0 {
		t.Log("no /var/log/dpkg.log here: its lines are made up")
		once = madeUp()
	}
	lines := once
	for len(lines) < inputLines {
		lines = append(lines, once...)
	}
	return lines
}

func readLines(t *testing.T, name string) (lines []string) {
	t.Helper()
	f, err := os.Open(name)
	if err != nil {
		t.Logf("left out: %v", err)
		return nil
	}
	defer f.Close()
	var r io.Reader = f
	if strings.HasSuffix(name, ".gz") {
		if r, err = gzip.NewReader(f); err != nil {
			t.Logf("%s is left out: %v", name, err)
			return nil
		}
	}
	s := bufio.NewScanner(r)
	for s.Scan() && len(lines) < inputLines {
		lines = append(lines, s.Text())
	}
	if err := s.Err(); err != nil {
		t.Logf("the rest of %s is left out: %v", name, err)
	}
	return lines
}

// madeUp has the form of dpkg's log.
func madeUp() (lines []string) {
	actions := []string{"startup", "install", "upgrade", "configure", "trigproc", "status", "status", "status", "status", "remove"}
	for i := range 5000 {
		lines = append(lines, fmt.Sprintf("2026-01-%02d %02d:%02d:%02d %s package-%d:amd64 1.%d", 1+i%28, i/3600%24, i/60%60, i%60, actions[i%len(actions)], i%97, i%13))
	}
	return lines
}

// column3 is the partition key of --key-column 3.
func column3(line string) string {
	if f := strings.Fields(line); len(f) >= 3 {
		return f[2]
	}
	return ""
}
