// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

//go:build wasip1

// Command wasm is an example of a delivery's WebAssembly transform, in plain Go. It drops records of the level "debug",
// splits those that hold several lines, and gives each a partition key. The ABI is described in
// server/delivery/transform/doc.go. Build it with the ordinary toolchain:
//
//	GOOS=wasip1 GOARCH=wasm go build -buildmode=c-shared -o transform.wasm ./examples/wasm
package main

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"unsafe"
)

// What the host sees is kept here, so that the garbage collector leaves it alone.
var input, output []byte

//go:wasmexport leat_alloc
func alloc(size int32) int32 {
	input = make([]byte, max(size, 1))
	return int32(uintptr(unsafe.Pointer(unsafe.SliceData(input))))
}

//go:wasmexport leat_transform
func transform(_, size int32) int64 {
	output = handle(field(input[:size]))
	at := uintptr(unsafe.Pointer(unsafe.SliceData(output)))
	return int64(uint64(at)<<32 | uint64(len(output)))
}

// field reads the first field of the input: the record's data.
func field(in []byte) []byte {
	n := binary.LittleEndian.Uint32(in)
	return in[4 : 4+n]
}

func text(b []byte, s []byte) []byte {
	return append(binary.LittleEndian.AppendUint32(b, uint32(len(s))), s...)
}

// handle makes the answer of a record.
func handle(data []byte) []byte {
	var lines [][]byte
	var keys []string
	for _, line := range bytes.Split(bytes.TrimSpace(data), []byte("\n")) {
		var e struct{ Level, Service string }
		if err := json.Unmarshal(line, &e); err != nil {
			return text([]byte{2}, []byte("no JSON: "+err.Error())) // ProcessingFailed
		}
		if e.Level == "debug" {
			continue
		}
		if e.Level == "loop" { // for the tests of time bounds
			for {
			}
		}
		if e.Level == "hoard" { // for the tests of memory bounds
			for all := [][]byte{}; ; {
				all = append(all, make([]byte, 1<<20))
			}
		}
		if e.Service == "" {
			e.Service = "unknown"
		}
		lines, keys = append(lines, line), append(keys, e.Service)
	}
	if len(lines) == 0 {
		return []byte{1} // Dropped
	}
	out := binary.LittleEndian.AppendUint32([]byte{0}, uint32(len(lines))) // Ok
	for i, line := range lines {
		out = text(out, line)
		out = binary.LittleEndian.AppendUint32(out, 1)
		out = text(text(out, []byte("service")), []byte(keys[i]))
	}
	return out
}

func main() {}
