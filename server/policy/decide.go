// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"net/netip"
	"slices"
	"strings"
)

// Question is a request to decide on.
type Question struct {
	// Actions are all the names that policies may give to what is done, such as kinesis:AddTagsToStream and
	// kinesis:TagResource. A statement that names one of them is about it.
	Actions  []string
	Resource string // ARN; * where an action is done to no resource in particular
	Owner    string // the resource's account

	Account       string // the caller's
	PrincipalARN  string
	Root          bool // the caller has no role: everything in its own account is its own
	PrincipalTags map[string]string
	Source        netip.Addr // zero: not known

	ResourceTags map[string]string
}

// Answer is a decision.
type Answer int

// The answers. Only Allowed is a yes.
const (
	Implicit Answer = iota // nothing allows it
	Allowed
	Denied // a statement denies it
)

// Decide answers a question by the policy of the caller's role (nil: it has none) and that of the resource (nil: it has none).
//
//	a Deny in either        → Denied
//	within one account      → Allowed when the caller has no role, or either policy allows it; a resource's policy that
//	                          names the whole account, rather than a role or everybody, leaves it to the role's
//	between two accounts    → Allowed when both sides allow it
func Decide(q *Question, identity, resource *Document) Answer {
	mine, _ := identity.weigh(q, false)
	theirs, direct := resource.weigh(q, true)
	switch {
	case mine == Denied || theirs == Denied:
		return Denied
	case q.Root:
		mine = Allowed
	}
	if q.Account == "" {
		return Implicit
	}
	if q.Account == q.Owner {
		if mine == Allowed || theirs == Allowed && direct {
			return Allowed
		}
		return Implicit
	}
	if mine == Allowed && theirs == Allowed {
		return Allowed
	}
	return Implicit
}

// weigh reads one document. direct says that a statement that allows names the caller itself, or everybody.
func (d *Document) weigh(q *Question, ofResource bool) (a Answer, direct bool) {
	if d == nil {
		return Implicit, false
	}
	for i := range d.statements {
		s := &d.statements[i]
		by, named := true, false
		if ofResource {
			by, named = s.isBy(q)
		}
		if !by || !s.isAbout(q) {
			continue
		}
		if s.deny {
			return Denied, false
		}
		a, direct = Allowed, direct || named
	}
	return a, direct
}

// isBy tells whether a statement is about a caller, and whether it names it other than by its account.
func (s *statement) isBy(q *Question) (by, named bool) {
	for _, p := range s.principals {
		switch {
		case p.account == "":
			by, named = true, true
		case p.arn != "":
			if p.arn == q.PrincipalARN {
				by, named = true, true
			}
		case p.account == q.Account:
			by = true
		}
	}
	if s.notBy {
		return !by, false
	}
	return by, named
}

func (s *statement) isAbout(q *Question) bool {
	return s.matchesAction(q) != s.notActions && s.matchesResource(q) != s.notIn && s.holds(q)
}

func (s *statement) matchesAction(q *Question) bool {
	return slices.ContainsFunc(s.actions, func(pattern string) bool {
		return slices.ContainsFunc(q.Actions, func(a string) bool { return pattern == "*" || glob(pattern, strings.ToLower(a)) })
	})
}

func (s *statement) matchesResource(q *Question) bool {
	arn := timeless(q.Resource)
	return slices.ContainsFunc(s.resources, func(pattern string) bool { return glob(pattern, arn) })
}

func (s *statement) holds(q *Question) bool {
	for i := range s.conditions {
		if !s.conditions[i].holds(q) {
			return false
		}
	}
	return true
}
