// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package kinesis

import (
	"regexp"
	"strings"

	"github.com/leatstream/leat"
)

// pattern is a form of text that AWS's model names. A value matches as a whole.
type pattern struct {
	text  string // as AWS tells it
	match func(string) bool
}

const (
	textName     = `[a-zA-Z0-9_.-]+`
	textHashKey  = `0|([1-9]\d{0,38})`
	textSequence = `0|([1-9]\d{0,128})`
)

// patternOf finds a pattern by its name in a check tag. Those of puts and reads are matched by hand.
func patternOf(name string) pattern {
	switch name {
	case "streamName", "shardId", "consumerName":
		return pattern{textName, isName}
	case "hashKey":
		return pattern{textHashKey, func(s string) bool { return isDecimal(s, maxHashDigits) }}
	case "sequenceNumber":
		return pattern{textSequence, func(s string) bool { return isDecimal(s, 129) }}
	case "streamARN":
		p := regular(`arn:aws.*:kinesis:.*:\d{12}:stream/\S+`)
		whole := p.match
		p.match = func(s string) bool { return isStreamARN(s) || whole(s) }
		return p
	case "consumerARN":
		return regular(`^(arn):aws.*:kinesis:.*:\d{12}:.*stream\/[a-zA-Z0-9_.-]+\/consumer\/[a-zA-Z0-9_.-]+:[0-9]+`)
	case "resourceARN":
		return regular(`arn:aws.*:kinesis:.*:\d{12}:.*stream/\S+`)
	case "streamId":
		return regular(`[a-z0-9]{20}-[a-z0-9]{3}`)
	}
	panic("kinesis: no pattern is named " + name)
}

// regular makes a pattern of a regular expression. It is compiled for each use: such members come once in a request of
// the control plane.
func regular(text string) pattern {
	return pattern{text, func(s string) bool { return regexp.MustCompile(`^(?:` + text + `)$`).MatchString(s) }}
}

// maxHashDigits is how many digits 2^128-1 has.
const maxHashDigits = 39

func isName(s string) bool {
	for i := range len(s) {
		if c := s[i]; !isAlnum(rune(c)) && c != '_' && c != '.' && c != '-' {
			return false
		}
	}
	return s != ""
}

// isStreamARN knows the usual ARNs without a regular expression: puts may name their stream so.
func isStreamARN(s string) bool {
	_, _, name, err := leat.ParseStreamARN(s)
	return err == nil && strings.HasPrefix(s, "arn:aws") && name != ""
}

func isAlnum(c rune) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9'
}

// isDecimal tells whether s is 0, or up to n digits that do not begin with 0.
func isDecimal(s string, n int) bool {
	if s == "" || len(s) > n || s[0] == '0' && s != "0" {
		return false
	}
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return true
}
