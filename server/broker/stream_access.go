// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package broker

import (
	"context"
	"slices"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/server/auth"
	"github.com/leatstream/leat/server/policy"
)

// StreamAccess promises: who may read, write and subscribe to a stream of the caller's account, as the authorizer that decides every
// call answers, and the statements that are about it. It is for those who may see the stream, its consumers, their policies and the
// account's roles.
//
// AWS has no such operation, and the native API has none either: the console alone asks.

// Verdict is whether a principal may do some actions, and by what.
type Verdict struct {
	Allowed []Action // of those that were asked about
	Refused []Action
	By      []policy.Cited // statements that are about one of them
}

// Subscribing is whether a principal may subscribe by one of the stream's consumers, which have policies of their own.
type Subscribing struct {
	Consumer string // its name; *: there is none yet, and it is asked of one of no particular name
	Verdict
}

// Access is what a principal may do with a stream.
type Access struct {
	ARN       string
	Account   string // empty: any
	Role      string // empty: the account itself
	Foreign   bool   // of another account, whose own policy must allow it too: the verdict is this stream's policy alone
	All       bool   // everybody, of whatever account
	Read      Verdict
	Write     Verdict
	Subscribe []Subscribing // by consumer
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
	More   bool // the account has more roles than these, or the stream more consumers
}

var (
	readActions      = []Action{ActionGetShardIterator, ActionGetRecords}
	writeActions     = []Action{ActionPutRecord, ActionPutRecords}
	subscribeActions = []Action{ActionSubscribeToShard}
)

// How many roles and consumers are asked about.
const (
	accessRoles     = 500
	accessConsumers = 20
	anyConsumer     = "*"
)

// StreamAccess tells who may read, write and subscribe to a stream.
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
	consumers, err := b.ListConsumers(ctx, who, ListConsumersRequest{Stream: stream, PageSize: accessConsumers})
	if err != nil {
		return out, err
	}
	out.More = next != "" || consumers.NextPageToken != ""
	a := accessor{b: b, stream: target{what: Resource{Account: d.Account, Stream: d.Name, ID: d.ID}}}
	if a.stream.resource, err = parsed(out.Policy, stream); err != nil {
		return out, err
	}
	for _, c := range consumers.Consumers {
		text, err := b.GetResourcePolicy(ctx, who, ResourceRequest{Stream: stream, Consumer: c.Name})
		if leat.KindOf(err) == leat.KindNotFound && err != nil {
			continue // it is gone since
		}
		t := target{what: a.stream.what}
		t.what.Consumer = c.Name
		if err == nil {
			t.resource, err = parsed(text, c.Name)
		}
		if err != nil {
			return out, err
		}
		a.consumers = append(a.consumers, t)
	}
	if len(a.consumers) == 0 {
		t := target{what: a.stream.what}
		t.what.Consumer = anyConsumer
		a.consumers = append(a.consumers, t)
	}
	if err = a.tag(ctx, who, stream, roles); err != nil {
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
	for _, n := range a.named() {
		if n.Account != d.Account {
			out.All = append(out.All, a.foreign(n))
		}
	}
	return out, nil
}

// parsed reads a policy that was checked when it was set; nil for none.
func parsed(text, of string) (*policy.Document, error) {
	if text == "" {
		return nil, nil
	}
	d, err := policy.ParseResource(text)
	if err != nil {
		return nil, leat.Errorf(leat.KindCorrupt, "the policy of %s cannot be read: %w", of, err)
	}
	return d, nil
}

// target is what is asked about: the stream or one of its consumers, with its own policy and tags.
type target struct {
	what     Resource
	resource *policy.Document
	tags     map[string]string
}

// accessor asks who may act on one stream.
type accessor struct {
	b         *Broker
	stream    target
	consumers []target
}

func (a *accessor) targets() []*target {
	all := []*target{&a.stream}
	for i := range a.consumers {
		all = append(all, &a.consumers[i])
	}
	return all
}

// named are the principals that any of the policies names.
func (a *accessor) named() (all []policy.Named) {
	for _, t := range a.targets() {
		for _, n := range t.resource.Named() {
			if !slices.Contains(all, n) {
				all = append(all, n)
			}
		}
	}
	return all
}

// tag reads tags where a policy asks for them.
func (a *accessor) tag(ctx context.Context, who leat.Principal, stream string, roles []leat.Role) error {
	needed := slices.ContainsFunc(roles, func(r leat.Role) bool {
		p, err := policy.ParseIdentity(r.Policy)
		return err == nil && p.UsesResourceTags
	})
	for _, t := range a.targets() {
		if t.what.Consumer == anyConsumer || !needed && (t.resource == nil || !t.resource.UsesResourceTags) {
			continue
		}
		all, _, err := a.b.ListTags(ctx, who, ListTagsRequest{ResourceRequest: ResourceRequest{Stream: stream, Consumer: t.what.Consumer}})
		if err != nil {
			return err
		}
		t.tags = make(map[string]string, len(all))
		for _, tag := range all {
			t.tags[tag.Name] = tag.Value
		}
	}
	return nil
}

func (a *accessor) question(t *target, p leat.Principal, tags map[string]string, action Action) *policy.Question {
	return &policy.Question{
		Actions: action.Names(), Resource: t.what.ARN(a.b.region), Owner: t.what.Account, Account: p.Account, PrincipalARN: auth.ARN(p), Root: p.Role == "",
		PrincipalTags: tags, ResourceTags: t.tags,
	}
}

// about fills in the verdicts that ask gives.
func (a *accessor) about(out Access, ask func(t *target, actions []Action) Verdict) Access {
	out.Read, out.Write = ask(&a.stream, readActions), ask(&a.stream, writeActions)
	for i := range a.consumers {
		out.Subscribe = append(out.Subscribe, Subscribing{a.consumers[i].what.Consumer, ask(&a.consumers[i], subscribeActions)})
	}
	return out
}

// own asks for a principal of the stream's account, of whoever decides its calls.
func (a *accessor) own(ctx context.Context, p leat.Principal, identity *policy.Document, tags map[string]string) Access {
	return a.about(Access{ARN: auth.ARN(p), Account: p.Account, Role: p.Role}, func(t *target, actions []Action) (v Verdict) {
		for _, action := range actions {
			v.add(action, a.b.authorize.Authorize(ctx, p, action, t.what) == nil)
			v.cite(policy.Explain(a.question(t, p, tags, action), identity, t.resource))
		}
		return v
	})
}

// foreign asks the policies of the stream and its consumers alone: what another account allows its callers is its own affair.
func (a *accessor) foreign(n policy.Named) Access {
	p := leat.Principal{Account: n.Account, Role: n.Role}
	out := Access{ARN: auth.ARN(p), Account: n.Account, Role: n.Role, Foreign: true, All: n.Account == ""}
	if out.All {
		p.Account, out.ARN = "*", "*"
	}
	return a.about(out, func(t *target, actions []Action) (v Verdict) {
		for _, action := range actions {
			cited := policy.Explain(a.question(t, p, nil, action), nil, t.resource)
			v.cite(cited)
			allowed, denied := false, false
			for _, c := range cited {
				allowed, denied = allowed || c.Fits && !c.Deny, denied || c.Fits && c.Deny
			}
			v.add(action, allowed && !denied)
		}
		return v
	})
}

func (v *Verdict) add(action Action, allowed bool) {
	if allowed {
		v.Allowed = append(v.Allowed, action)
	} else {
		v.Refused = append(v.Refused, action)
	}
}

// cite adds statements that are not there yet.
func (v *Verdict) cite(cited []policy.Cited) {
	for _, c := range cited {
		if !slices.Contains(v.By, c) {
			v.By = append(v.By, c)
		}
	}
}
