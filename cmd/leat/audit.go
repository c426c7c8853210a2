// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"strconv"
	"time"

	"google.golang.org/protobuf/types/known/structpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/api/client"
	leatv1 "github.com/leatstream/leat/api/leat/v1"
	"github.com/leatstream/leat/server/audit"
)

// auditCmd is `leat audit`.
type auditCmd struct {
	Connection connection `embed:""`

	List   auditListCmd   `cmd:"" help:"Show the newest events of the audit log."`
	Export auditExportCmd `cmd:"" help:"Write events as JSON, one a line, the oldest first."`
}

// Help is shown by `leat audit --help`.
func (auditCmd) Help() string {
	return "The audit log has every call of the control plane, and what was refused of the data plane: who, what, from where, and what came of it. Calls that changed nothing and are alike are merged into one event, which counts them. An account sees its own; with the server's own token --account chooses one, and without it there are all."
}

// auditFilter is what both commands ask by.
type auditFilter struct {
	Since     string `help:"The first: a time (RFC 3339) or how long ago, such as 24h." placeholder:"TIME"`
	Until     string `help:"Before it alone: a time or how long ago." placeholder:"TIME"`
	Principal string `help:"Caller: its ARN, the id of its key or token, or its name." placeholder:"WHO"`
	Operation string `help:"Operation, such as DeleteStream." placeholder:"NAME"`
	Resource  string `help:"ARN, or how one ends, such as stream/orders." placeholder:"ARN"`
	Request   string `help:"Id of a request." placeholder:"ID"`
	Denied    bool   `help:"What was refused permission alone."`
	Changes   bool   `help:"Changes alone."`
}

func (f *auditFilter) message(c *connection, now time.Time) (*leatv1.AuditFilter, error) {
	m := &leatv1.AuditFilter{
		Account: c.Account, Principal: f.Principal, Operation: f.Operation, Resource: f.Resource, RequestId: f.Request, Denied: f.Denied, Changes: f.Changes,
	}
	var err error
	if m.StartTime, err = moment("since", f.Since, now); err != nil {
		return nil, err
	}
	m.EndTime, err = moment("until", f.Until, now)
	return m, err
}

// moment reads a time, or how long ago it is; empty is none.
func moment(flag, text string, now time.Time) (*timestamppb.Timestamp, error) {
	if text == "" {
		return nil, nil
	}
	if d, err := time.ParseDuration(text); err == nil && d >= 0 {
		return timestamppb.New(now.Add(-d)), nil
	}
	t, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return nil, leat.Invalid(flag, "--%s %q: give a time such as 2026-01-31T15:04:05Z, or how long ago, such as 24h", flag, text)
	}
	return timestamppb.New(t), nil
}

type auditListCmd struct {
	auditFilter `embed:""`
	Limit       int `help:"Events at most." default:"100"`
}

// Run shows events, the newest first.
func (cmd *auditListCmd) Run(ctx context.Context, c *connection, t *terminal) error {
	filter, err := cmd.message(c, time.Now())
	if err != nil {
		return err
	}
	if cmd.Limit < 1 {
		return leat.Invalid("limit", "--limit %d: give 1 or more", cmd.Limit)
	}
	const page = 1000
	return c.with(ctx, func(ctx context.Context, cl *client.Client) error {
		p := newPrinter(t.out, c.Output, "TIME", "COUNT", "ACCOUNT", "NAME", "OPERATION", "RESOURCE", "FROM", "BY", "OUTCOME")
		req := &leatv1.ListAuditEventsRequest{Filter: filter, NewestFirst: true}
		for left := cmd.Limit; left > 0; {
			req.PageSize = int32(min(left, page)) //nolint:gosec // 1000 at most
			res, err := cl.Audit.ListAuditEvents(ctx, req)
			if err != nil {
				return err
			}
			for _, e := range res.GetEvents() {
				if err := p.Row(viewAudit(e), local(e.GetTime()), strconv.FormatInt(e.GetCount(), 10), e.GetAccount(), e.GetName(), e.GetOperation(), e.GetResource(),
					e.GetSourceIp(), e.GetEdge(), e.GetOutcome()); err != nil {
					return err
				}
			}
			left -= len(res.GetEvents())
			if req.PageToken = res.GetNextPageToken(); req.PageToken == "" {
				break
			}
		}
		return p.Flush()
	})
}

type auditExportCmd struct {
	auditFilter `embed:""`
	SnakeCase   bool `help:"Names and numbers as in -o json of the list (source_ip), and as the export of former versions had them, instead of those of the API (sourceIp)."`
}

// Help is shown by `leat audit export --help`.
func (auditExportCmd) Help() string {
	return "The lines are those that the console's export and GET /v1/audit/export have, with the names of the API: lastTime, sourceIp, userAgent, requestId; count is a string."
}

// Run writes events as JSON, the oldest first. It takes as long as it takes.
func (cmd *auditExportCmd) Run(ctx context.Context, c *connection, t *terminal) error {
	filter, err := cmd.message(c, time.Now())
	if err != nil {
		return err
	}
	cl, err := c.dial(ctx)
	if err != nil {
		return err
	}
	defer cl.Close()
	from, err := cl.Audit.ExportAuditEvents(ctx, &leatv1.ExportAuditEventsRequest{Filter: filter})
	if err != nil {
		return err
	}
	out := newEncoder(t.out)
	for {
		res, err := from.Recv()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		var line any = exportAudit(res.GetEvent())
		if cmd.SnakeCase {
			line = viewAudit(res.GetEvent())
		}
		if err := out.Encode(line); err != nil {
			return err
		}
	}
}

// auditView is the JSON form of an event.
type auditView struct {
	ID         string          `json:"id"`
	Time       string          `json:"time"`
	Last       string          `json:"last_time,omitempty"`
	Count      int64           `json:"count"`
	Account    string          `json:"account"`
	Principal  string          `json:"principal"`
	Name       string          `json:"name"`
	Credential string          `json:"credential,omitempty"`
	Operation  string          `json:"operation"`
	Resource   string          `json:"resource"`
	Edge       string          `json:"edge"`
	Source     string          `json:"source_ip,omitempty"`
	Agent      string          `json:"user_agent,omitempty"`
	Request    string          `json:"request_id,omitempty"`
	Outcome    string          `json:"outcome"`
	Message    string          `json:"message,omitempty"`
	Before     json.RawMessage `json:"before,omitempty"`
	After      json.RawMessage `json:"after,omitempty"`
}

func viewAudit(e *leatv1.AuditEvent) auditView {
	v := auditView{
		ID: e.GetId(), Time: rfc3339(e.GetTime()), Count: e.GetCount(), Account: e.GetAccount(), Principal: e.GetPrincipal(), Name: e.GetName(),
		Credential: e.GetCredential(), Operation: e.GetOperation(), Resource: e.GetResource(), Edge: e.GetEdge(), Source: e.GetSourceIp(),
		Agent: e.GetUserAgent(), Request: e.GetRequestId(), Outcome: e.GetOutcome(), Message: e.GetMessage(), Before: plain(e.GetBefore()), After: plain(e.GetAfter()),
	}
	if e.GetCount() > 1 {
		v.Last = rfc3339(e.GetLastTime())
	}
	return v
}

func exportAudit(e *leatv1.AuditEvent) audit.Exported {
	event := audit.Event{
		ID: e.GetId(), Time: e.GetTime().AsTime(), Last: e.GetLastTime().AsTime(), Times: e.GetCount(), Account: e.GetAccount(), Principal: e.GetPrincipal(), Name: e.GetName(),
		Credential: e.GetCredential(), Operation: e.GetOperation(), Resource: e.GetResource(), Edge: leat.Edge(e.GetEdge()), Source: e.GetSourceIp(),
		Agent: e.GetUserAgent(), Request: e.GetRequestId(), Outcome: e.GetOutcome(), Message: e.GetMessage(), Before: plain(e.GetBefore()), After: plain(e.GetAfter()),
	}
	return event.Exported()
}

// plain is nothing for no object.
func plain(s *structpb.Struct) json.RawMessage {
	if s == nil {
		return nil
	}
	text, err := json.Marshal(s.AsMap())
	if err != nil {
		return nil
	}
	return text
}
