// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package console_test

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"
)

func TestAudit(t *testing.T) {
	w := newWorld(t)
	w.create(t, "orders", 1)
	// A program that calls itself markup, and a tag that is.
	v := newVisitor(t, w.HTTP)
	const settings = "/console/streams/orders/settings"
	v.send(settings, settings, url.Values{"mode": {"PROVISIONED"}, "target": {"1"}, "retention": {"48"}, "max_record": {"1024"}, "warm": {"0"}}).is(t, 200, "The settings were changed")
	token := tokenField.FindStringSubmatch(v.get(settings).body)[1]
	v.ask(http.MethodPost, "/console/streams/orders/tags", url.Values{"name": {"team"}, "value": {"x@y.z"}, "token": {token}}, header("User-Agent", "<script>window.pwned=1</script>")).is(t, 200)

	v.get("/console/audit").is(t, 200, "CreateStream", "AddTags", "stream/orders")
	changed := v.get("/console/audit?operation=IncreaseStreamRetentionPeriod&changes=yes")
	changed.is(t, 200, "IncreaseStreamRetentionPeriod")
	if strings.Contains(changed.body, "<td>CreateStream") {
		t.Error("the filter leaves in what it should not")
	}
	v.get(v.link("/console/audit?operation=IncreaseStreamRetentionPeriod&changes=yes", "/console/audit/events/")).is(t, 200, "What it changed", `was"><pre>24`, `is"><pre>48`)
	one := v.get(v.link("/console/audit?operation=AddTags", "/console/audit/events/"))
	one.is(t, 200, "&lt;script&gt;window.pwned", "console, 127.0.0.1")
	if strings.Contains(one.body, "<script>window") {
		t.Error("what a program calls itself is markup on the page")
	}
	v.get("/console/audit?who="+url.QueryEscape(hostile)).is(t, 200, "No events", "&lt;script&gt;")
	v.get("/console/audit?since="+url.QueryEscape(hostile)).is(t, 400, "is no time such as", "&lt;script&gt;")
	v.get("/console/audit?since=2026-01-02&until=2026-01-01").is(t, 400, "must be after")
	v.get("/console/audit?account=12").is(t, 400, "account")
	v.get("/console/audit/events/none?request=none").is(t, 404, "no such event")

	p := v.get("/console/audit/export?operation=IncreaseStreamRetentionPeriod")
	p.is(t, 200)
	var e struct {
		Operation, Outcome string
		Before, After      map[string]any
	}
	if err := json.Unmarshal([]byte(p.body), &e); err != nil || e.Operation != "IncreaseStreamRetentionPeriod" || e.Outcome != "OK" || len(e.After) == 0 {
		t.Errorf("exported %q: %+v, %v", p.body, e, err)
	}
	if got := p.Header.Get("Content-Disposition"); !strings.HasPrefix(got, "attachment") {
		t.Errorf("the export is shown: %q", got)
	}

	// Of a form that is carried out half, the log has what was changed.
	both := url.Values{"mode": {"PROVISIONED"}, "target": {"20000"}, "retention": {"72"}, "max_record": {"2048"}, "warm": {"0"}}
	v.send(settings, settings, both).is(t, 400, "everything else was")
	v.get(v.link("/console/audit?operation=UpdateMaxRecordSize", "/console/audit/events/")).is(t, 200, "What it changed", `is"><pre>72`)
}
