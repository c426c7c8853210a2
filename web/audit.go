// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package web

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/server/audit"
	"github.com/leatstream/leat/server/broker"
)

const eventsAPage = 50

// auditPage is the page of the audit log, and what was asked of it.
type auditPage struct {
	Since, Until, Who, Operation, Resource, Account string
	Denied, Changes, Operator                       bool
	Events                                          []audit.Event
	Next, Error                                     string
}

// Query is what was asked, as an address has it.
func (p *auditPage) Query(pairs ...string) string {
	q := url.Values{}
	for name, v := range map[string]string{"since": p.Since, "until": p.Until, "who": p.Who, "operation": p.Operation, "resource": p.Resource, "account": p.Account} {
		if v != "" {
			q.Set(name, v)
		}
	}
	for name, on := range map[string]bool{"denied": p.Denied, "changes": p.Changes} {
		if on {
			q.Set(name, "yes")
		}
	}
	for i := 0; i+1 < len(pairs); i += 2 {
		q.Set(pairs[i], pairs[i+1])
	}
	return q.Encode()
}

// Asked tells whether anything is left out.
func (p *auditPage) Asked() bool { return p.Query() != "" }

// Event is the address of one event.
func (p *auditPage) Event(e audit.Event) string {
	q := url.Values{"request": {e.Request}}
	if p.Account != "" {
		q.Set("account", p.Account)
	}
	return Root + "/audit/events/" + url.PathEscape(e.ID) + "?" + q.Encode()
}

// auditAsked reads what is asked of the log.
func auditAsked(r *http.Request, s *session) (p auditPage, f audit.Filter, err error) {
	q := r.URL.Query()
	p = auditPage{
		Since: strings.TrimSpace(q.Get("since")), Until: strings.TrimSpace(q.Get("until")), Who: strings.TrimSpace(q.Get("who")), Operation: strings.TrimSpace(q.Get("operation")),
		Resource: strings.TrimSpace(q.Get("resource")), Account: strings.TrimSpace(q.Get("account")), Denied: q.Get("denied") == "yes", Changes: q.Get("changes") == "yes",
		Operator: s.who.Operator,
	}
	f = audit.Filter{Account: p.Account, Principal: p.Who, Operation: p.Operation, Resource: p.Resource, Denied: p.Denied, Changes: p.Changes}
	if p.Since != "" {
		if f.Since, err = parseTime("since", p.Since); err != nil {
			return p, f, err
		}
	}
	if p.Until != "" {
		f.Until, err = parseTime("until", p.Until)
	}
	return p, f, err
}

func (c *Console) auditLog(w http.ResponseWriter, r *http.Request, s *session) error {
	p, f, err := auditAsked(r, s)
	if err == nil {
		f.NewestFirst = true
		p.Events, p.Next, err = c.Broker.ListAuditEvents(r.Context(), s.who, broker.ListAuditEventsRequest{Filter: f, PageSize: eventsAPage, PageToken: r.URL.Query().Get("page")})
	}
	status := http.StatusOK
	if err != nil {
		if leat.KindOf(err) != leat.KindInvalidArgument {
			return err
		}
		p.Error, status = told(err), http.StatusBadRequest
	}
	c.show(w, r, s, status, "audit", &page{Title: "Audit", Nav: "audit", Body: &p, Copy: snippets(
		"leat audit list --limit 50\nleat audit export --since 24h --changes > audit.jsonl", "", "", "curl -s '"+c.rest("/audit/events?newestFirst=true")+"'"+c.authorization()),
	})
	return nil
}

// changedField is a member of what a call changed, before and after it.
type changedField struct {
	Name, Before, After string
}

// Differs tells whether it was changed.
func (f changedField) Differs() bool { return f.Before != f.After }

// auditEvent shows one event with what it changed.
func (c *Console) auditEvent(w http.ResponseWriter, r *http.Request, s *session) error {
	id, request := r.PathValue("event"), r.URL.Query().Get("request")
	all, _, err := c.Broker.ListAuditEvents(r.Context(), s.who, broker.ListAuditEventsRequest{Filter: audit.Filter{Account: r.URL.Query().Get("account"), Request: request}, PageSize: 1000})
	if err != nil {
		return err
	}
	at := slices.IndexFunc(all, func(e audit.Event) bool { return e.ID == id })
	if at < 0 || request == "" {
		return leat.Errorf(leat.KindNotFound, "The audit log has no such event, or no longer.")
	}
	e := &all[at]
	c.show(w, r, s, http.StatusOK, "audit-event", &page{
		Title: e.Operation, Nav: "audit", Crumbs: []crumb{{"Audit", Root + "/audit"}}, Body: map[string]any{"E": e, "Fields": changedFields(e.Before, e.After)},
		Copy: snippets("leat audit list --request "+shellWord(e.Request)+" -o json", "", "", ""),
	})
	return nil
}

// shortARN is the part of an ARN that people know a thing by.
func shortARN(arn string) string {
	if arn == "*" {
		return "the account"
	}
	if part := strings.SplitN(arn, ":", 6); len(part) == 6 && part[0] == "arn" {
		return part[5]
	}
	return arn
}

// shellWord quotes what a client may have chosen.
func shellWord(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" }

// changedFields lays what was before beside what was after, member by member.
func changedFields(before, after json.RawMessage) (all []changedField) {
	members := func(text json.RawMessage) map[string]json.RawMessage {
		m := map[string]json.RawMessage{}
		if len(text) > 0 && json.Unmarshal(text, &m) != nil {
			m = map[string]json.RawMessage{"value": text}
		}
		return m
	}
	was, is := members(before), members(after)
	names := map[string]bool{}
	for name := range was {
		names[name] = true
	}
	for name := range is {
		names[name] = true
	}
	for _, name := range slices.Sorted(maps.Keys(names)) {
		all = append(all, changedField{name, readable(was[name]), readable(is[name])})
	}
	return all
}

// readable is JSON for people: a text without its quotes, the rest with indents.
func readable(text json.RawMessage) string {
	var s string
	if json.Unmarshal(text, &s) == nil {
		return s
	}
	var b bytes.Buffer
	if json.Indent(&b, text, "", "  ") != nil {
		return string(text)
	}
	return b.String()
}

// auditExport writes the events that a filter chooses as JSON, one a line, the oldest first. What goes wrong on the way is the
// last line.
func (c *Console) auditExport(w http.ResponseWriter, r *http.Request, s *session) error {
	_, f, err := auditAsked(r, s)
	if err != nil {
		return err
	}
	begun := false
	lines := json.NewEncoder(w)
	ask := broker.ListAuditEventsRequest{Filter: f, PageSize: 1000}
	for {
		all, next, err := c.Broker.ListAuditEvents(r.Context(), s.who, ask)
		if err != nil && begun {
			_ = lines.Encode(map[string]string{"error": told(err)})
			return nil // it is told: the answer has begun
		}
		if err != nil {
			return err
		}
		if !begun {
			begun = true
			w.Header().Set("Content-Type", "application/x-ndjson")
			w.Header().Set("Content-Disposition", fmt.Sprintf(`attachment; filename="leat-audit-%s.jsonl"`, c.Clock.Now().UTC().Format("20060102-150405")))
		}
		answers(w)
		for i := range all {
			_ = lines.Encode(all[i].Exported()) // who has gone needs nothing, and asks for no further page
		}
		if ask.PageToken = next; next == "" {
			return nil
		}
	}
}
