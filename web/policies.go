// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package web

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/server/broker"
)

const rolesAPage = 50

// roleRow is a role with its policy for people, and who has it.
type roleRow struct {
	leat.Role
	Shown string
	Held  held
}

// roles lists the roles of the account with their policies.
func (c *Console) roles(w http.ResponseWriter, r *http.Request, s *session) error {
	all, next, err := c.Broker.ListRoles(r.Context(), s.who, rolesAPage, r.URL.Query().Get("page"))
	if err != nil {
		return err
	}
	holding, err := c.holders(r.Context(), s.who)
	if err != nil {
		return err
	}
	var rows []roleRow
	for i := range all {
		rows = append(rows, roleRow{all[i], indented(all[i].Policy), holding(s.who.Account, all[i].Name)})
	}
	c.show(w, r, s, http.StatusOK, "roles", &page{Title: "Roles", Nav: "roles", Body: map[string]any{"Rows": rows, "Next": next}, Copy: snippets(
		"leat role list\nleat role put NAME --policy policy.json\nleat key create app --role NAME", "", "", "curl -s "+c.rest("/roles")+c.authorization()),
	})
	return nil
}

// accessRow is what a principal may do with a stream, and who acts as that principal.
type accessRow struct {
	broker.Access
	Held      held
	Otherwise string // why, where no statement is about it
}

// access tells who may read, write and subscribe to a stream.
func (c *Console) access(w http.ResponseWriter, r *http.Request, s *session) error {
	d, _, err := c.describe(r, s)
	if err != nil {
		return err
	}
	all, err := c.Broker.StreamAccess(r.Context(), s.who, d.Name)
	if err != nil {
		return err
	}
	holding, err := c.holders(r.Context(), s.who)
	if err != nil {
		return err
	}
	rows := make([]accessRow, len(all.All))
	for i, a := range all.All {
		rows[i] = accessRow{Access: a, Otherwise: "nothing says so"}
		if !a.Foreign {
			rows[i].Held = holding(a.Account, a.Role)
			if a.Role == "" {
				rows[i].Otherwise = "its own account"
			}
		}
	}
	none := len(rows) > 0 && len(rows[0].Subscribe) == 1 && rows[0].Subscribe[0].Consumer == "*"
	p := c.streamPage(d, "access", map[string]any{
		"Stream": d, "Access": all, "Rows": rows, "Operators": c.operators(s.who), "NoConsumers": none, "Policy": indented(all.Policy),
	})
	arn := d.ARN(c.Broker.Region())
	p.Copy = snippets(
		fmt.Sprintf("leat stream policy %[1]s\nleat role list", d.Name),
		c.boto3("kinesis")+fmt.Sprintf("print(kinesis.get_resource_policy(ResourceARN=\"%s\")[\"Policy\"])", arn),
		fmt.Sprintf("resource \"aws_kinesis_resource_policy\" \"%s\" {\n  resource_arn = \"%s\"\n  policy       = file(\"policy.json\")\n}", terraformName(d.Name), arn),
		"curl -s "+c.rest("/streams/"+d.Name+"/policy")+c.authorization(),
	)
	c.show(w, r, s, http.StatusOK, "access", p)
	return nil
}

// indented is JSON for people, or the text as it is.
func indented(text string) string {
	var b bytes.Buffer
	if json.Indent(&b, []byte(text), "", "  ") != nil {
		return text
	}
	return b.String()
}
