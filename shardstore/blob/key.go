// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package blob

import (
	"errors"
	"fmt"
	"strings"
)

// Limits of keys. They are what every driver can hold: a part is a file name on
// disk and in MinIO, and a bucket prefix is still put before the key.
const (
	MaxKey  = 512 // bytes of a whole key
	MaxPart = 255 // bytes between two slashes
)

// ErrKey is matched by the errors of CheckKey and CheckPrefix. Nothing has been
// sent to the store when a call fails with it.
var ErrKey = errors.New("blob: illegal key")

// CheckKey says whether key may name an object: parts of A–Z a–z 0–9 and
// -_.+=@,:~!'()* joined by single slashes, no part "." or "..".
//
// Three rules cannot be seen in one key and are the caller's: a key is never
// also the folder of another one ("a" and "a/b"); no two keys differ only in the
// case of their letters, because some file systems fold it; and the names in one
// folder have the same length, or few of them begin with another one and go on
// with a character before the slash ("a-1", "a-2", … beside "a/"), because MinIO
// gets pages wrong where there are many.
func CheckKey(key string) error {
	if key == "" {
		return fmt.Errorf("%w: empty", ErrKey)
	}
	if err := checkText(key); err != nil {
		return err
	}
	for part := range strings.SplitSeq(key, "/") {
		if err := checkPart(part); err != nil {
			return fmt.Errorf("%w in %q", err, key)
		}
	}
	return nil
}

// CheckPrefix says whether prefix may begin a key (or be List's after). Unlike
// a key it may be empty or end anywhere.
func CheckPrefix(prefix string) error {
	if prefix == "" {
		return nil
	}
	if err := checkText(prefix); err != nil {
		return err
	}
	parts := strings.Split(prefix, "/")
	for _, part := range parts[:len(parts)-1] {
		if err := checkPart(part); err != nil {
			return fmt.Errorf("%w in prefix %q", err, prefix)
		}
	}
	return nil
}

func checkText(s string) error {
	if len(s) > MaxKey {
		return fmt.Errorf("%w: %d bytes, at most %d", ErrKey, len(s), MaxKey)
	}
	for i := range len(s) {
		if c := s[i]; c != '/' && !legal(c) {
			return fmt.Errorf("%w: byte %q at %d of %q", ErrKey, c, i, s)
		}
	}
	return nil
}

func checkPart(part string) error {
	switch {
	case part == "":
		return fmt.Errorf("%w: empty part", ErrKey)
	case part == "." || part == "..":
		return fmt.Errorf("%w: part %q", ErrKey, part)
	case len(part) > MaxPart:
		return fmt.Errorf("%w: part of %d bytes, at most %d", ErrKey, len(part), MaxPart)
	}
	return nil
}

func legal(c byte) bool {
	switch {
	case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9':
		return true
	}
	return strings.IndexByte("-_.+=@,:~!'()*", c) >= 0
}
