// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package policy

// Cited is a statement that is about a question.
type Cited struct {
	Index    int    // in its document, from 1
	Sid      string // its name; empty: it has none
	Deny     bool
	OfStream bool // of the resource's policy; otherwise of the role's
	Fits     bool // its conditions hold for the question as it was asked; otherwise they might for another
}

// Explain tells which statements of both policies are about a question, in their order, whether or not their conditions hold.
// Decide's answer follows from those that fit.
func Explain(q *Question, identity, resource *Document) (all []Cited) {
	all = identity.cite(q, false, nil)
	return resource.cite(q, true, all)
}

func (d *Document) cite(q *Question, ofResource bool, all []Cited) []Cited {
	if d == nil {
		return all
	}
	for i := range d.statements {
		s := &d.statements[i]
		if ofResource {
			if by, _ := s.isBy(q); !by {
				continue
			}
		}
		if s.matchesAction(q) == s.notActions || s.matchesResource(q) == s.notIn {
			continue
		}
		all = append(all, Cited{Index: i + 1, Sid: s.sid, Deny: s.deny, OfStream: ofResource, Fits: s.holds(q)})
	}
	return all
}

// Named is a principal that a resource's policy names in a statement that allows.
type Named struct {
	Account string // empty: everybody
	Role    string // empty: the account, whoever calls for it
}

// Named lists the principals that a resource's policy allows anything, each once, in the order of their first statements.
func (d *Document) Named() (all []Named) {
	if d == nil {
		return nil
	}
	seen := map[Named]bool{}
	for i := range d.statements {
		s := &d.statements[i]
		if s.deny {
			continue
		}
		for _, p := range s.principals {
			n := Named{Account: p.account}
			if p.arn != "" {
				n.Role = p.arn[len(RoleARN(p.account, "")):]
			}
			if !seen[n] {
				seen[n] = true
				all = append(all, n)
			}
		}
	}
	return all
}
