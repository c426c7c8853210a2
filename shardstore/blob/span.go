// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package blob

// Span turns Read's off and length into the half-open range [from, to) of an
// object of size bytes. Drivers share it, so that they agree at the edges.
func Span(size, off, length int64) (from, to int64) {
	from = off
	if off < 0 {
		from = max(size+off, 0)
	}
	if from >= size {
		return size, size
	}
	if length < 0 || length > size-from {
		return from, size
	}
	return from, from + length
}

// CheckList is CheckPrefix for both of List's texts.
func CheckList(prefix, after string) error {
	if err := CheckPrefix(prefix); err != nil {
		return err
	}
	return CheckPrefix(after)
}
