// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package auth

import (
	"context"
	"hash/maphash"
	"net/netip"
	"sync"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/server/policy"
)

// Authorize decides by the policy of the caller's role and that of the resource (package policy); KindAccessDenied says what
// is missing. An operator may do everything in every account. A caller without a role may do everything in its own
// account but what a resource's policy denies it; it can always change that policy.
func (i *Identities) Authorize(ctx context.Context, who leat.Principal, action policy.Action, what policy.Resource) error {
	if who.Operator {
		return nil
	}
	known, err := i.now(ctx)
	if err != nil {
		return err
	}
	if who.Account == "" {
		return i.denied(who, action, what, policy.Implicit)
	}
	// An account that this node does not know may have been made a moment ago, with its credential: that stands for it.
	if a := known.accounts[who.Account]; a != nil && a.State != leat.AccountActive {
		return leat.Errorf(leat.KindAccessDenied, "Account %s is %s.", who.Account, stateText(a.State))
	}
	own := who.Account == what.Account
	if own && who.Role == "" && (!known.hasPolicy(what) || keepsPolicies(action)) {
		return nil
	}
	if !own && !action.Shared() {
		return i.denied(who, action, what, policy.Implicit)
	}
	answer, err := i.decide(ctx, known, who, action, what)
	if err != nil {
		return err
	}
	if answer != policy.Allowed {
		return i.denied(who, action, what, answer)
	}
	return nil
}

func stateText(s leat.AccountState) string {
	if s == leat.AccountDeleting {
		return "being deleted"
	}
	return "disabled"
}

// keepsPolicies are the actions that the owner of a resource can never lock itself out of.
func keepsPolicies(action policy.Action) bool {
	return action == "PutResourcePolicy" || action == "GetResourcePolicy" || action == "DeleteResourcePolicy"
}

func (k *identities) hasPolicy(what policy.Resource) bool {
	if what.Stream == "" || len(k.policies) == 0 {
		return false
	}
	_, there := k.policies[resourceKey{what.ID, what.Consumer}]
	return there
}

// decide answers from the cache where it can.
func (i *Identities) decide(ctx context.Context, known *identities, who leat.Principal, action policy.Action, what policy.Resource) (policy.Answer, error) {
	var mine, theirs *policy.Document
	var tags map[string]string
	if who.Role != "" {
		mine = nothing // a role that is not known allows nothing
		if r := known.roles[roleKey{who.Account, who.Role}]; r != nil {
			mine, tags = r.policy, r.Tags
		}
	}
	if what.Stream != "" {
		if p := known.policies[resourceKey{what.ID, what.Consumer}]; p != nil {
			theirs = p.policy
		}
	}
	at := decisionKey{account: who.Account, role: who.Role, action: action, what: what}
	if mine != nil && mine.UsesSource || theirs != nil && theirs.UsesSource {
		at.source = who.Origin.Source
	}
	var delivery map[string]string
	outside := false // of what is known: the tags that the answer depends on
	if mine != nil && mine.UsesResourceTags {
		var err error
		if delivery, outside, err = i.deliveries.of(ctx, &what); err != nil {
			return policy.Implicit, err
		}
	}
	if answer, ok := known.decisions.get(at); ok && !outside {
		return answer, nil
	}
	q := policy.Question{
		Actions: action.Names(), Resource: what.ARN(i.region), Owner: what.Account,
		Account: who.Account, PrincipalARN: ARN(who), Root: who.Role == "", PrincipalTags: tags, Source: who.Origin.Source,
		ResourceTags: known.tags[resourceKey{what.ID, what.Consumer}],
	}
	if outside {
		q.ResourceTags = delivery
		return policy.Decide(&q, mine, theirs), nil
	}
	answer := policy.Decide(&q, mine, theirs)
	known.decisions.put(at, answer)
	return answer, nil
}

// ARN is what policies and the audit log call a caller.
func ARN(who leat.Principal) string {
	switch {
	case who.Operator:
		return "arn:aws:iam::" + who.Account + ":operator/" + who.Name
	case who.Role != "":
		return policy.RoleARN(who.Account, who.Role)
	}
	return policy.RootARN(who.Account)
}

// denied has the form of AWS's text, and names nothing but what the caller has named.
func (i *Identities) denied(who leat.Principal, action policy.Action, what policy.Resource, answer policy.Answer) error {
	name := action.Names()[0]
	why := "no policy allows the " + name + " action"
	if answer == policy.Denied {
		why = "a policy denies it explicitly"
	}
	return leat.Errorf(leat.KindAccessDenied, "User: %s is not authorized to perform: %s on resource: %s because %s", ARN(who), name, what.ARN(i.region), why)
}

// decisionKey is all that a decision depends on, within one state of what is known.
type decisionKey struct {
	account, role string
	action        policy.Action
	what          policy.Resource
	source        netip.Addr // where a policy asks for it
}

// decisions remembers answers. It is bounded: a part that is full begins anew.
type decisions struct {
	seed  maphash.Seed
	parts [16]struct {
		mu      sync.RWMutex
		answers map[decisionKey]policy.Answer
	}
}

const decisionsPerPart = 4096

func newDecisions() *decisions { return &decisions{seed: maphash.MakeSeed()} }

func (d *decisions) get(at decisionKey) (policy.Answer, bool) {
	p := &d.parts[maphash.Comparable(d.seed, at)%uint64(len(d.parts))]
	p.mu.RLock()
	defer p.mu.RUnlock()
	a, ok := p.answers[at]
	return a, ok
}

func (d *decisions) put(at decisionKey, a policy.Answer) {
	p := &d.parts[maphash.Comparable(d.seed, at)%uint64(len(d.parts))]
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.answers == nil || len(p.answers) >= decisionsPerPart {
		p.answers = make(map[decisionKey]policy.Answer)
	}
	p.answers[at] = a
}
