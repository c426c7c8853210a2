// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package policy

// glob tells whether a pattern with * (any characters, or none) and ? (one) matches the whole of s, in time bounded by the
// product of their lengths.
func glob(pattern, s string) bool {
	p, i := 0, 0
	star, mark := -1, 0 // the last *, and where what it takes ends
	for i < len(s) {
		switch {
		case p < len(pattern) && pattern[p] == '*':
			star, mark = p, i
			p++
		case p < len(pattern) && (pattern[p] == '?' || pattern[p] == s[i]):
			p++
			i++
		case star >= 0:
			mark++
			p, i = star+1, mark
		default:
			return false
		}
	}
	for p < len(pattern) && pattern[p] == '*' {
		p++
	}
	return p == len(pattern)
}
