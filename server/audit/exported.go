// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package audit

import (
	"encoding/json"
	"time"
)

// Exported is an event as a line of a file of events, from wherever it comes: with the names of the native API's JSON.
type Exported struct {
	ID         string          `json:"id"`
	Time       time.Time       `json:"time"`
	Last       *time.Time      `json:"lastTime,omitempty"` // of several calls
	Count      int64           `json:"count,string"`
	Account    string          `json:"account"`
	Principal  string          `json:"principal"`
	Name       string          `json:"name,omitempty"`
	Credential string          `json:"credential,omitempty"`
	Operation  string          `json:"operation"`
	Resource   string          `json:"resource"`
	Edge       string          `json:"edge,omitempty"`
	Source     string          `json:"sourceIp,omitempty"`
	Agent      string          `json:"userAgent,omitempty"`
	Request    string          `json:"requestId,omitempty"`
	Outcome    string          `json:"outcome"`
	Message    string          `json:"message,omitempty"`
	Before     json.RawMessage `json:"before,omitempty"`
	After      json.RawMessage `json:"after,omitempty"`
}

// Exported returns the event's line.
func (e *Event) Exported() Exported {
	x := Exported{
		e.ID, e.Time.UTC(), nil, e.Times, e.Account, e.Principal, e.Name, e.Credential, e.Operation, e.Resource, string(e.Edge), e.Source, e.Agent, e.Request,
		e.Outcome, e.Message, e.Before, e.After,
	}
	if !e.Last.IsZero() && e.Times > 1 {
		last := e.Last.UTC()
		x.Last = &last
	}
	return x
}
