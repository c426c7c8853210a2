// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package masterkey_test

import (
	"bytes"
	"crypto/rand"
	"encoding/base64"
	"strings"
	"testing"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/server/masterkey"
)

// line is a fixed key: 32 times b.
func line(b byte) string { return masterkey.Generate(bytes.NewReader(bytes.Repeat([]byte{b}, 32))) }

func ring(t *testing.T, lines ...string) *masterkey.Ring {
	t.Helper()
	r, err := masterkey.Parse([]byte(strings.Join(lines, "\n") + "\n"))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func wrap(t *testing.T, r *masterkey.Ring, purpose, secret string) string {
	t.Helper()
	wrapped, err := r.Wrap(purpose, []byte(secret))
	if err != nil {
		t.Fatal(err)
	}
	return wrapped
}

func TestWhatIsWrappedComesBack(t *testing.T) {
	r := ring(t, "# made for a test", "", "  "+line(1)+"  ", line(2))
	wrapped := wrap(t, r, "stream-key/a", "a secret")
	if again := wrap(t, r, "stream-key/a", "a secret"); again == wrapped {
		t.Errorf("the same secret is wrapped the same way twice: %s", wrapped)
	}
	if raw, _ := base64.StdEncoding.DecodeString(wrapped[strings.LastIndex(wrapped, ":")+1:]); bytes.Contains(raw, []byte("a secret")) {
		t.Error("the secret stands in the clear")
	}
	got, err := r.Unwrap("stream-key/a", wrapped)
	if err != nil || string(got) != "a secret" {
		t.Errorf("got %q, %v", got, err)
	}
	if !strings.Contains(wrapped, r.ID()) || len(r.ID()) != 16 {
		t.Errorf("%s does not name its key %s", wrapped, r.ID())
	}
}

// TestWrappedFormIsKept: a catalog written by an earlier version stays readable.
func TestWrappedFormIsKept(t *testing.T) {
	const golden = "leat-wrapped-1:be1a9873a8e7df8d:wp1OwGFrq2zKP+IChZNGlKRKGMFVx2mw8y1AQ+GE1S7WHoQrZJRViwE="
	got, err := ring(t, line(7)).Unwrap("stream-key/golden", golden)
	if err != nil || string(got) != "kept for ever" {
		t.Errorf("got %q, %v", got, err)
	}
}

func TestAnotherPurposeOrAChangedByteIsRefused(t *testing.T) {
	r := ring(t, line(1))
	wrapped := wrap(t, r, "stream-key/a", "a secret")
	if _, err := r.Unwrap("stream-key/b", wrapped); leat.KindOf(err) != leat.KindCorrupt {
		t.Errorf("another purpose: %v", err)
	}
	head, text := wrapped[:strings.LastIndex(wrapped, ":")+1], wrapped[strings.LastIndex(wrapped, ":")+1:]
	raw, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		t.Fatal(err)
	}
	for i := range raw {
		raw[i] ^= 1
		if _, err := r.Unwrap("stream-key/a", head+base64.StdEncoding.EncodeToString(raw)); leat.KindOf(err) != leat.KindCorrupt {
			t.Fatalf("byte %d changed: %v", i, err)
		}
		raw[i] ^= 1
	}
	for _, bad := range []string{"", "leat-wrapped-1:", wrapped[1:], wrapped[:len(wrapped)-9], head + "!" + text} {
		if _, err := r.Unwrap("stream-key/a", bad); err == nil {
			t.Errorf("%q was unwrapped", bad)
		}
	}
}

func TestRotation(t *testing.T) {
	old, both, later := ring(t, line(1)), ring(t, line(2), line(1)), ring(t, line(2))
	wrapped := wrap(t, old, "p", "s")
	if both.Current(wrapped) || !old.Current(wrapped) || (*masterkey.Ring)(nil).Current(wrapped) {
		t.Error("Current does not tell the first key from another")
	}
	secret, err := both.Unwrap("p", wrapped)
	if err != nil {
		t.Fatal(err)
	}
	again := wrap(t, both, "p", string(secret))
	if !both.Current(again) {
		t.Error("what is wrapped again is not under the first key")
	}
	if got, err := later.Unwrap("p", again); err != nil || string(got) != "s" {
		t.Errorf("got %q, %v", got, err)
	}
	_, err = later.Unwrap("p", wrapped)
	if leat.KindOf(err) != leat.KindUnavailable || !strings.Contains(err.Error(), old.ID()) || !strings.Contains(err.Error(), "--master-key-file") {
		t.Errorf("a key that is missing: %v", err)
	}
}

func TestNoMasterKey(t *testing.T) {
	var none *masterkey.Ring
	if _, err := none.Wrap("p", []byte("s")); leat.KindOf(err) != leat.KindUnsupported || !strings.Contains(err.Error(), "--master-key-file") {
		t.Errorf("wrap: %v", err)
	}
	if _, err := none.Unwrap("p", wrap(t, ring(t, line(1)), "p", "s")); leat.KindOf(err) != leat.KindUnavailable || !strings.Contains(err.Error(), "--master-key-file") {
		t.Errorf("unwrap: %v", err)
	}
	if none.ID() != "" {
		t.Errorf("id %q", none.ID())
	}
}

func TestWrongFilesAreRefusedWithoutTellingWhatIsInThem(t *testing.T) {
	good := line(1)
	for name, text := range map[string]string{
		"empty":        "# nothing\n\n",
		"no prefix":    strings.TrimPrefix(good, "leat-"),
		"short":        "leat-master-key-1:" + base64.StdEncoding.EncodeToString([]byte("secretsecret")),
		"not base64":   good[:len(good)-3] + "!!!",
		"loose base64": good[:len(good)-2] + "F=",
		"twice":        good + "\n" + good,
		"more":         good + " and more",
	} {
		_, err := masterkey.Parse([]byte(text))
		if leat.KindOf(err) != leat.KindInvalidArgument {
			t.Errorf("%s: %v", name, err)
			continue
		}
		for _, part := range []string{"secret", "AQEBAQ", "c2Vjcm"} {
			if strings.Contains(err.Error(), part) {
				t.Errorf("%s: the error tells the key: %v", name, err)
			}
		}
	}
}

func TestGeneratedKeysDiffer(t *testing.T) {
	a, b := ring(t, masterkey.Generate(rand.Reader)), ring(t, masterkey.Generate(rand.Reader))
	if a.ID() == b.ID() {
		t.Errorf("two new keys have the id %s", a.ID())
	}
}

func FuzzUnwrap(f *testing.F) {
	r, err := masterkey.Parse([]byte(line(1)))
	if err != nil {
		f.Fatal(err)
	}
	wrapped, err := r.Wrap("p", []byte("s"))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(wrapped)
	f.Add("leat-wrapped-1:::")
	f.Fuzz(func(t *testing.T, text string) {
		if secret, err := r.Unwrap("q", text); err == nil {
			t.Errorf("%q gives %q", text, secret)
		}
	})
}
