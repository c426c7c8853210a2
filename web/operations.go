// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package web

import (
	"net/http"
	"strings"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/server/broker"
)

// nodeRow is a node of the cluster.
type nodeRow struct {
	broker.NodeStatus
	Seen broker.NodeState
}

func (c *Console) nodes(w http.ResponseWriter, r *http.Request, s *session) error {
	all, err := c.Broker.ListNodes(r.Context(), s.who)
	if err != nil {
		return err
	}
	var rows []nodeRow
	for i := range all {
		rows = append(rows, nodeRow{all[i], broker.StateOf(&all[i])})
	}
	c.show(w, r, s, http.StatusOK, "nodes", &page{
		Title: "Nodes", Nav: "nodes", Body: map[string]any{"Rows": rows}, Copy: snippets("leat node list", "", "", "curl -s "+c.rest("/nodes")+c.authorization()),
	})
	return nil
}

// keyPage is the page of access keys.
type keyPage struct {
	Keys   []leat.AccessKey
	Roles  []string // that a new key can have
	Role   string
	Made   *broker.CreateKeyResult
	Name   string
	Error  string
	Region string
}

func (c *Console) keys(w http.ResponseWriter, r *http.Request, s *session) error {
	return c.showKeys(w, r, s, http.StatusOK, keyPage{})
}

func (c *Console) showKeys(w http.ResponseWriter, r *http.Request, s *session, status int, p keyPage) error {
	for token := ""; ; {
		res, err := c.Broker.ListKeys(r.Context(), s.who, broker.ListKeysRequest{PageToken: token, PageSize: 1000})
		if err != nil {
			return err
		}
		p.Keys = append(p.Keys, res.Keys...)
		if token = res.NextPageToken; token == "" {
			break
		}
	}
	for token := ""; ; {
		roles, next, err := c.Broker.ListRoles(r.Context(), s.who, 1000, token)
		if kind := leat.KindOf(err); err != nil && kind != leat.KindAccessDenied {
			return err
		}
		for i := range roles {
			p.Roles = append(p.Roles, roles[i].Name)
		}
		if token = next; token == "" {
			break
		}
	}
	p.Region = c.Broker.Region()
	c.show(w, r, s, status, "keys", &page{Title: "Access keys", Nav: "keys", Body: &p, Copy: snippets("leat key create NAME --role ROLE\nleat key list", "", "", "curl -s "+c.rest("/keys")+c.authorization())})
	return nil
}

// changeKeys makes, disables, enables or deletes an access key. A new key's secret is in the answer and nowhere else.
func (c *Console) changeKeys(w http.ResponseWriter, r *http.Request, s *session) error {
	id := r.PostForm.Get("id")
	var err error
	var p keyPage
	switch r.PostForm.Get("do") {
	case "create":
		p.Name, p.Role = strings.TrimSpace(r.PostForm.Get("name")), r.PostForm.Get("role")
		var made broker.CreateKeyResult
		if made, err = c.Broker.CreateKey(r.Context(), s.who, broker.CreateKeyRequest{Name: p.Name, Role: p.Role}); err == nil {
			p.Made, p.Name = &made, ""
		}
	case "enable", "disable":
		_, err = c.Broker.UpdateKey(r.Context(), s.who, broker.UpdateKeyRequest{ID: id, Active: r.PostForm.Get("do") == "enable"})
	case "delete":
		if r.PostForm.Get("confirm") != "yes" {
			err = leat.Invalid("confirm", "Tick “for good” to delete key %s: what signs with it is refused from then on.", id)
			break
		}
		err = c.Broker.DeleteKey(r.Context(), s.who, id)
	default:
		err = leat.Invalid("do", "nothing to do is given")
	}
	if err != nil {
		if kind := leat.KindOf(err); kind == leat.KindInternal || kind == leat.KindAccessDenied {
			return err
		}
		p.Error = told(err)
		return c.showKeys(w, r, s, statusOf(leat.KindOf(err)), p)
	}
	if p.Made != nil {
		return c.showKeys(w, r, s, http.StatusOK, p)
	}
	http.Redirect(w, r, Root+"/keys?done=keys", http.StatusSeeOther)
	return nil
}
