// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package audit

import (
	"encoding/json"
	"time"

	"github.com/leatstream/leat"
)

// Event is one row of the log: one call, or several that are alike.
type Event struct {
	ID         string // of the row; later ones are greater
	Time       time.Time
	Last       time.Time // of the last call that it stands for
	Times      int64     // how many calls it stands for
	Account    string    // that the caller acted for
	Principal  string    // its ARN
	Name       string    // that its credential was given
	Credential string    // the id of its access key or token; empty: another kind
	Operation  string    // * where calls that differ were merged
	Resource   string    // the ARN of what it was done to; * for the account at large
	Edge       leat.Edge
	Source     string // IP address; empty: not known
	Agent      string // what the caller's program says that it is
	Request    string // the request's id, of the first call
	Outcome    string // OK, or the kind of the error
	Message    string // of the error, as the caller was told
	Before     json.RawMessage
	After      json.RawMessage
	Operator   bool // who made it owes nothing for it; not in the row
}

// texts are those of an event that somebody else chose.
func (e *Event) texts() []*string {
	return []*string{
		&e.Account, &e.Principal, &e.Name, &e.Credential, &e.Operation, &e.Resource, &e.Source, &e.Agent, &e.Request, &e.Outcome, &e.Message,
	}
}

// The outcomes that are not the kind of an error.
const (
	OK      = "OK"
	Allowed = "ALLOWED" // what came of it is not known
)

// Denied tells whether permission was refused.
func (e *Event) Denied() bool { return e.Outcome == leat.KindAccessDenied.String() }

// likeness is what calls have in common that are merged into one row.
type likeness struct {
	account, principal, credential, operation, resource, source, outcome string
	edge                                                                 leat.Edge
}

func (e *Event) likeness() likeness {
	return likeness{e.Account, e.Principal, e.Credential, e.Operation, e.Resource, e.Source, e.Outcome, e.Edge}
}
