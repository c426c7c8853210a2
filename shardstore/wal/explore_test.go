// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package wal_test

import (
	"slices"
	"strings"
	"testing"
)

// explore visits every state that can be reached from the first one, nearest first, and returns the shortest way to a
// bad one: "" when there is none.
func explore[S comparable](first S, next func(s S, to func(S, string)), bad func(*S) string) (trace string, states int) {
	type node struct {
		s      S
		before int
		act    string
	}
	queue, seen := []node{{first, -1, "begin"}}, map[S]bool{first: true}
	for i := 0; i < len(queue); i++ {
		if why := bad(&queue[i].s); why != "" {
			way := []string{why}
			for j := i; j >= 0; j = queue[j].before {
				way = append(way, queue[j].act)
			}
			slices.Reverse(way)
			return strings.Join(way, "; "), len(queue)
		}
		if len(queue) > 4_000_000 {
			return "more states than the model should have", len(queue)
		}
		next(queue[i].s, func(s S, act string) {
			if !seen[s] {
				seen[s] = true
				queue = append(queue, node{s, i, act})
			}
		})
	}
	return "", len(queue)
}

// mustHold fails if the model reaches a bad state, or stops looking early.
func mustHold(t *testing.T, trace string, states, least int) {
	t.Helper()
	if trace != "" {
		t.Fatalf("the protocol as written reaches: %s", trace)
	}
	if states < least {
		t.Fatalf("only %d states were visited, of at least %d: the model lost its moves", states, least)
	}
	t.Logf("%d states", states)
}

// mustFail fails if taking a rule away does no harm: then the model does not test that rule.
func mustFail(t *testing.T, trace string) {
	t.Helper()
	if trace == "" {
		t.Fatal("without the rule the model still finds nothing wrong")
	}
	t.Log(trace)
}
