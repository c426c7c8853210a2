// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package broker

import (
	"context"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/server/auth"
	"github.com/leatstream/leat/server/policy"
)

// StreamAccess promises: who may read and write a stream of the caller's account, as the authorizer that decides every call
// answers, and the statements that are about it. It is for those who may see the stream, its policy and the account's roles.
//
// AWS has no such operation, and the native API has none either: the console alone asks.

// Verdict is whether a principal may do some actions, and by what.
type Verdict struct {
	Allowed []Action // of those that were asked about
	Refused []Action
	By      []policy.Cited // statements that are about one of them
}

// Access is what a principal may do with a stream.
type Access struct {
	ARN     string
	Account string // empty: any
	Role    string // empty: the account itself
	Foreign bool   // of another account, whose own policy must allow it too: the verdict is this stream's policy alone
	All     bool   // everybody, of whatever account
	Read    Verdict
	Write   Verdict
}

// Whole tells whether all was allowed.
func (v *Verdict) Whole() bool { return len(v.Refused) == 0 }

// Depends tells whether a statement's conditions did not hold as it was asked, without an address, and might for a caller.
func (v *Verdict) Depends() bool {
	for _, c := range v.By {
		if !c.Fits {
			return true
		}
	}
	return false
}

// StreamAccesses is StreamAccess's answer.
type StreamAccesses struct {
	Policy string // of the stream, as it was set; empty: it has none
	All    []Access
	More   bool // the account has more roles than these
}

var (
	readActions  = []Action{ActionGetShardIterator, ActionGetRecords}
	writeActions = []Action{ActionPutRecord, ActionPutRecords}
)

// accessRoles is how many roles are asked about.
const accessRoles = 500

// StreamAccess tells who may read and write a stream.
func (b *Broker) StreamAccess(ctx context.Context, who leat.Principal, stream string) (out StreamAccesses, err error) {
	d, _, err := b.DescribeStreamSummary(ctx, who, stream)
	if err != nil {
		return out, err
	}
	if out.Policy, err = b.GetResourcePolicy(ctx, who, ResourceRequest{Stream: stream}); err != nil {
		return out, err
	}
	roles, next, err := b.ListRoles(ctx, who, accessRoles, "")
	if err != nil {
		return out, err
	}
	out.More = next != ""
	a := accessor{b: b, what: Resource{Account: d.Account, Stream: d.Name, ID: d.ID}}
	if out.Policy != "" {
		if a.resource, err = policy.ParseResource(out.Policy); err != nil { // it was checked when it was set
			return out, leat.Errorf(leat.KindCorrupt, "the policy of stream %s cannot be read: %w", stream, err)
		}
	}
	if a.tags, err = b.streamTags(ctx, who, stream, a.resource, roles); err != nil {
		return out, err
	}
	out.All = append(out.All, a.own(ctx, leat.Principal{Account: d.Account, Name: "root"}, nil, nil))
	for i := range roles {
		identity, err := policy.ParseIdentity(roles[i].Policy)
		if err != nil {
			identity = nil // it cannot be read, and allows nothing
		}
		out.All = append(out.All, a.own(ctx, leat.Principal{Account: d.Account, Name: roles[i].Name, Role: roles[i].Name}, identity, roles[i].Tags))
	}
	for _, n := range a.resource.Named() {
		if n.Account != d.Account {
			out.All = append(out.All, a.foreign(n))
		}
	}
	return out, nil
}

// streamTags reads the stream's tags where a policy asks for them.
func (b *Broker) streamTags(ctx context.Context, who leat.Principal, stream string, resource *policy.Document, roles []leat.Role) (map[string]string, error) {
	needed := resource != nil && resource.UsesResourceTags
	for i := range roles {
		if p, err := policy.ParseIdentity(roles[i].Policy); err == nil {
			needed = needed || p.UsesResourceTags
		}
	}
	if !needed {
		return nil, nil
	}
	all, _, err := b.ListTags(ctx, who, ListTagsRequest{ResourceRequest: ResourceRequest{Stream: stream}})
	if err != nil {
		return nil, err
	}
	tags := make(map[string]string, len(all))
	for _, t := range all {
		tags[t.Name] = t.Value
	}
	return tags, nil
}

// accessor asks who may act on one stream.
type accessor struct {
	b        *Broker
	what     Resource
	resource *policy.Document
	tags     map[string]string // of the stream
}

func (a *accessor) question(p leat.Principal, tags map[string]string, action Action) *policy.Question {
	return &policy.Question{
		Actions: action.Names(), Resource: a.what.ARN(a.b.region), Owner: a.what.Account, Account: p.Account, PrincipalARN: auth.ARN(p), Root: p.Role == "",
		PrincipalTags: tags, ResourceTags: a.tags,
	}
}

// own asks for a principal of the stream's account, of whoever decides its calls.
func (a *accessor) own(ctx context.Context, p leat.Principal, identity *policy.Document, tags map[string]string) Access {
	ask := func(actions []Action) (v Verdict) {
		for _, action := range actions {
			if a.b.authorize.Authorize(ctx, p, action, a.what) == nil {
				v.Allowed = append(v.Allowed, action)
			} else {
				v.Refused = append(v.Refused, action)
			}
			v.cite(policy.Explain(a.question(p, tags, action), identity, a.resource))
		}
		return v
	}
	return Access{ARN: auth.ARN(p), Account: p.Account, Role: p.Role, Read: ask(readActions), Write: ask(writeActions)}
}

// foreign asks the stream's policy alone: what another account allows its callers is its own affair.
func (a *accessor) foreign(n policy.Named) Access {
	p := leat.Principal{Account: n.Account, Role: n.Role}
	out := Access{ARN: auth.ARN(p), Account: n.Account, Role: n.Role, Foreign: true, All: n.Account == ""}
	if out.All {
		p.Account, out.ARN = "*", "*"
	}
	ask := func(actions []Action) (v Verdict) {
		for _, action := range actions {
			cited := policy.Explain(a.question(p, nil, action), nil, a.resource)
			v.cite(cited)
			allowed := false
			for _, c := range cited {
				if c.Fits && c.Deny {
					allowed = false
					break
				}
				allowed = allowed || c.Fits
			}
			if allowed {
				v.Allowed = append(v.Allowed, action)
			} else {
				v.Refused = append(v.Refused, action)
			}
		}
		return v
	}
	out.Read, out.Write = ask(readActions), ask(writeActions)
	return out
}

// cite adds statements that are not there yet.
func (v *Verdict) cite(cited []policy.Cited) {
	for _, c := range cited {
		there := false
		for _, is := range v.By {
			there = there || is == c
		}
		if !there {
			v.By = append(v.By, c)
		}
	}
}
