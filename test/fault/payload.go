// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package fault

import (
	"bytes"
	"fmt"
	"math/rand/v2"
)

// ID names a record: the n-th that its key's owner tried to put.
type ID struct {
	Key int
	N   uint64
}

// String is the beginning of the record's data.
func (id ID) String() string { return fmt.Sprintf("k%d n%d", id.Key, id.N) }

// PartitionKey is the record's key in the stream.
func (id ID) PartitionKey() string { return fmt.Sprintf("key-%d", id.Key) }

// Data makes the record's bytes, the same each time: its name, and up to 1 KiB of noise that depends on nothing else.
func (id ID) Data() []byte {
	noise := rand.New(rand.NewPCG(uint64(id.Key), id.N))
	b := make([]byte, 0, 1100)
	b = append(b, id.String()...)
	b = append(b, '\n')
	for range noise.IntN(128) {
		b = fmt.Appendf(b, "%08x", noise.Uint32())
	}
	return b
}

// Identify reads the name back out of a record, and checks every byte of it.
func Identify(partitionKey string, data []byte) (ID, error) {
	var id ID
	name, _, _ := bytes.Cut(data, []byte("\n"))
	if n, err := fmt.Sscanf(string(name), "k%d n%d", &id.Key, &id.N); n != 2 || err != nil {
		return id, fmt.Errorf("no record of ours: %.40q", data)
	}
	if partitionKey != id.PartitionKey() {
		return id, fmt.Errorf("%v has the partition key %q", id, partitionKey)
	}
	if !bytes.Equal(data, id.Data()) {
		return id, fmt.Errorf("%v has other bytes than were put: %.80q", id, data)
	}
	return id, nil
}
