// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package transform

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// Tables of references are a module's other memory, and the runtime has no bound of them: table.grow takes what the table's own
// maximum allows, of which most toolchains write none. So a module is given one before it is compiled.
const (
	maxTables    = 8
	maxTableSize = 1 << 18 // references of 8 bytes; a program has one for each function that is called by its address
)

var errModule = errors.New("it is not a WebAssembly module")

// boundTables returns a module whose tables have maxTableSize references at most.
func boundTables(code []byte) ([]byte, error) {
	const (
		header       = 8 // magic number and version
		tableSection = 4
	)
	if len(code) < header {
		return nil, errModule
	}
	out := append(make([]byte, 0, len(code)+maxTables*binary.MaxVarintLen32), code[:header]...)
	for r := (&moduleReader{b: code[header:]}); len(r.b) > 0; {
		id := r.byte()
		section := r.take(r.number())
		if r.bad {
			return nil, errModule
		}
		if id == tableSection {
			var err error
			if section, err = boundSection(section); err != nil {
				return nil, err
			}
		}
		out = append(out, id)
		out = binary.AppendUvarint(out, uint64(len(section)))
		out = append(out, section...)
	}
	return out, nil
}

// boundSection bounds the tables of a table section: a vector of a type, 0x70 or 0x6f, a flag whether there is a maximum, the
// minimum, and that maximum.
func boundSection(section []byte) (out []byte, err error) {
	r := &moduleReader{b: section}
	n := r.number()
	if n > maxTables {
		return nil, fmt.Errorf("it has %d tables; %d are allowed", n, maxTables)
	}
	out = binary.AppendUvarint(nil, n)
	for range n {
		kind, bounded, least, most := r.byte(), r.byte(), r.number(), uint64(maxTableSize)
		if bounded == 1 {
			most = min(most, r.number())
		}
		switch {
		case r.bad, bounded > 1, kind != 0x70 && kind != 0x6f:
			return nil, errors.New("it has a table of a kind that is not known here")
		case least > most:
			return nil, fmt.Errorf("it has a table of %d references; %d are allowed", least, maxTableSize)
		}
		out = append(out, kind, 1)
		out = binary.AppendUvarint(out, least)
		out = binary.AppendUvarint(out, most)
	}
	if len(r.b) > 0 {
		return nil, errModule
	}
	return out, nil
}

// moduleReader reads the binary format: bytes, and unsigned numbers in LEB128.
type moduleReader struct {
	b   []byte
	bad bool
}

func (r *moduleReader) byte() byte {
	b := r.take(1)
	if r.bad {
		return 0
	}
	return b[0]
}

func (r *moduleReader) number() uint64 {
	n, size := binary.Uvarint(r.b)
	if size <= 0 || n>>32 > 0 {
		r.bad = true
		return 0
	}
	r.b = r.b[size:]
	return n
}

func (r *moduleReader) take(n uint64) []byte {
	if r.bad || n > uint64(len(r.b)) {
		r.bad = true
		return nil
	}
	b := r.b[:n]
	r.b = r.b[n:]
	return b
}
