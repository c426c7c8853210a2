// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package directio_test

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
	"unsafe"

	"github.com/leatstream/leat/internal/directio"
)

func TestBuffersBeginAtPages(t *testing.T) {
	for _, n := range []int64{1, 100, directio.Page, 1 << 20, 1<<20 + 1} {
		b := directio.Buffer(n)
		if len(b) != 0 || int64(cap(b)) != n || uintptr(unsafe.Pointer(unsafe.SliceData(b)))%directio.Page != 0 {
			t.Errorf("Buffer(%d) has %d bytes of %d at %p", n, len(b), cap(b), unsafe.SliceData(b))
		}
	}
}

// What is written around the cache is what readers through it see.
func TestWrites(t *testing.T) {
	name := filepath.Join(t.TempDir(), "f")
	f, err := directio.Open(name, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	if f == nil {
		t.Log("the file system of this machine's temporary folder has no direct writes")
		return
	}
	defer func() { _ = f.Close() }()
	var want []byte
	for i := range 5 {
		page := append(directio.Buffer(directio.Page), bytes.Repeat([]byte{byte('a' + i)}, directio.Page)...)
		if _, err := f.Write(page); err != nil {
			t.Fatal(err)
		}
		want = append(want, page...)
		if got, err := os.ReadFile(name); err != nil || !bytes.Equal(got, want) {
			t.Fatalf("%d pages written, %d bytes read: %v", i+1, len(got), err)
		}
	}
}
