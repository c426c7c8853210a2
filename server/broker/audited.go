// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package broker

import (
	"context"
	"encoding/json"
	"errors"
	"sync"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/server/audit"
	"github.com/leatstream/leat/server/auth"
)

// The audit log is written here. An edge has each call leave a trail (Watch), which ends with what came of the call; may,
// where all is allowed or refused, leaves on it what was asked, and operations leave what they changed (changed). Calls of
// the data plane have no trail: what is refused of them is told at once, and the rest is not in the log.

// maxTrail bounds what one call leaves in the log.
const maxTrail = 64

// trail is what the audit log learns of one call under way.
type trail struct {
	mu     sync.Mutex
	events []audit.Event
	told   int // how many of them know what was changed
	change bool
}

type trailKey struct{}

// errPanicked is what came of a call that did not return.
var errPanicked = errors.New("the call did not return: it panicked")

// Watch runs a call: what the broker is asked in its context goes into the audit log with what came of it, also where run panics. A
// change is in the log when Watch returns.
func (b *Broker) Watch(ctx context.Context, run func(context.Context) error) (err error) {
	if b.audit == nil {
		return run(ctx)
	}
	t := &trail{}
	err = errPanicked
	defer func() { b.end(context.WithoutCancel(ctx), t, err) }()
	return run(context.WithValue(ctx, trailKey{}, t))
}

// OnDataPlane tells whether an action is about records, of which there are too many for a trail each.
func OnDataPlane(action Action) bool {
	switch action {
	case ActionPutRecord, ActionPutRecords, ActionGetShardIterator, ActionGetRecords, ActionSubscribeToShard, ActionPutDeliveryRecords:
		return true
	}
	return false
}

// mayChangeMore refuses changes of an account that has made more of them lately than the audit log has room for.
func (b *Broker) mayChangeMore(account string) error {
	if b.audit == nil {
		return nil
	}
	if wait := b.audit.Wait(account); wait > 0 {
		return &leat.Error{Kind: leat.KindLimitExceeded, After: wait,
			Message: "Rate exceeded for account " + account + ": each change is kept in the audit log, and there were too many in too little time; nothing was executed: retry"}
	}
	return nil
}

// changes tells whether an action changes something.
func changes(action Action) bool { return !onlyReads(action) || action == ActionDrainNode }

// asked is told by may of all that was asked, and how it was answered.
func (b *Broker) asked(ctx context.Context, who leat.Principal, action Action, what Resource, err error) {
	if b.audit == nil {
		return
	}
	data := OnDataPlane(action)
	if data && (err == nil || leat.KindOf(err) != leat.KindAccessDenied) {
		return
	}
	e := audit.Event{
		Account: who.Account, Principal: auth.ARN(who), Name: who.Name, Credential: who.Credential, Operation: string(action), Resource: what.ARN(b.region),
		Edge: who.Origin.Edge, Agent: who.Origin.Agent, Request: who.Origin.Request, Outcome: audit.Allowed, Operator: who.Operator,
	}
	if e.Resource == "*" && what.Account != who.Account {
		e.Resource = "arn:aws:leat:" + b.region + ":" + what.Account + ":root"
	}
	if who.Origin.Source.IsValid() {
		e.Source = who.Origin.Source.String()
	}
	if err != nil { // whatever an edge makes of it
		e.Outcome, e.Message = outcomeOf(err)
	}
	t, _ := ctx.Value(trailKey{}).(*trail)
	if t == nil || data {
		b.audit.Add(e)
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if n := len(t.events); n > t.told && t.events[n-1].Operation == e.Operation && t.events[n-1].Resource == e.Resource {
		t.events[n-1] = e // the same question, once more: of the stream that was found
		return
	}
	switch {
	case changes(action) && !t.change: // what was looked up on the way is not worth a row
		t.events, t.told, t.change = nil, 0, true
	case !changes(action) && (t.change || len(t.events) > 0), len(t.events) == maxTrail:
		if err == nil {
			return
		}
	}
	if n := len(t.events); n < maxTrail {
		t.events = append(t.events, e)
	}
}

// opSignIn is what the audit log calls an attempt to sign in. It is no action: nobody needs permission for it.
const opSignIn = "SignIn"

// SignInFailed puts an attempt to sign in that failed into the audit log: the operator's, and where a credential of an account
// was tried, that account's.
func (b *Broker) SignInFailed(f auth.Failure) {
	if b.audit == nil {
		return
	}
	e := audit.Event{
		Account: f.Account, Credential: f.Credential, Operation: opSignIn, Resource: "*", Edge: f.Origin.Edge, Agent: f.Origin.Agent,
		Outcome: leat.KindUnauthenticated.String(), Message: f.Reason,
	}
	if f.Origin.Source.IsValid() {
		e.Source = f.Origin.Source.String()
	}
	b.audit.AddAttempt(e)
}

// changed leaves what an operation changed on the trail of its call: JSON that holds no secret.
func (b *Broker) changed(ctx context.Context, before, after any) {
	t, _ := ctx.Value(trailKey{}).(*trail)
	if t == nil {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	for i := t.told; i < len(t.events); i++ {
		t.events[i].Before, t.events[i].After = value(before), value(after)
	}
	t.told = len(t.events)
}

// value is nothing for nil. What cannot be JSON is a mistake of the operation's, and no reason to fail it.
func value(v any) json.RawMessage {
	if v == nil {
		return nil
	}
	text, err := json.Marshal(v)
	if err != nil {
		return json.RawMessage(`{"omitted":"it has no form in JSON"}`)
	}
	return text
}

// end writes the trail of a call that ended with err.
func (b *Broker) end(ctx context.Context, t *trail, err error) {
	t.mu.Lock()
	events, change := t.events, t.change
	t.events = nil
	t.mu.Unlock()
	outcome, message := outcomeOf(err)
	for i := range events {
		e := &events[i]
		asked := e.Outcome == audit.Allowed
		if asked {
			e.Outcome, e.Message = outcome, message
		}
		if asked && change && mayHaveHappened(err) {
			b.audit.Write(ctx, *e)
			continue
		}
		e.Before, e.After = nil, nil
		b.audit.Add(*e)
	}
}

// mayHaveHappened tells whether a call that ended with err may have changed something.
func mayHaveHappened(err error) bool {
	if err == nil {
		return true
	}
	switch leat.KindOf(err) {
	case leat.KindInternal, leat.KindUnknownOutcome, leat.KindCanceled:
		return true
	}
	return false
}

// outcomeOf is OK, or the kind of an error and what its caller is told.
func outcomeOf(err error) (outcome, message string) {
	if err == nil {
		return audit.OK, ""
	}
	kind := leat.KindOf(err)
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		kind = leat.KindCanceled
	}
	var e *leat.Error
	if errors.As(err, &e) && kind != leat.KindInternal {
		message = e.Message
	}
	return kind.String(), message
}
