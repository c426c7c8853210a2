// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/leatstream/leat"
)

// Document is a policy that has been read. It never changes.
type Document struct {
	statements []statement
	// UsesSource says that a decision depends on where a request comes from.
	UsesSource bool
	// UsesResourceTags says that a decision depends on the tags of the resource.
	UsesResourceTags bool
	// Twice says which member is there twice; nil: none. The last one holds, as when such documents were taken.
	Twice error
}

type statement struct {
	sid        string
	deny       bool
	principals []principal // of resource policies
	notBy      bool        // NotPrincipal
	actions    []string    // patterns, in lower case
	notActions bool
	resources  []string // patterns
	notIn      bool     // NotResource
	conditions []condition
}

// principal is one entry of Principal: everybody, an account, or one of its roles.
type principal struct {
	account string // empty: everybody
	arn     string // empty: all of the account
}

// The bounds of a document.
const (
	MaxBytes      = leat.MaxPolicyBytes
	maxStatements = 100
	maxEntries    = 100 // of one member
	maxPattern    = 512
)

var versions = []string{"2012-10-17", "2008-10-17"}

// raw is the JSON of a document.
type raw struct {
	Version   string          `json:"Version"`
	ID        string          `json:"Id"`
	Statement json.RawMessage `json:"Statement"`
}

type rawStatement struct {
	Sid          string                                `json:"Sid"`
	Effect       string                                `json:"Effect"`
	Principal    json.RawMessage                       `json:"Principal"`
	NotPrincipal json.RawMessage                       `json:"NotPrincipal"`
	Action       json.RawMessage                       `json:"Action"`
	NotAction    json.RawMessage                       `json:"NotAction"`
	Resource     json.RawMessage                       `json:"Resource"`
	NotResource  json.RawMessage                       `json:"NotResource"`
	Condition    map[string]map[string]json.RawMessage `json:"Condition"`
}

// CheckIdentity refuses what cannot be put as the policy of a role: what ParseIdentity cannot read, and a member that is there twice.
func CheckIdentity(text string) error { return check(ParseIdentity(text)) }

// CheckResource refuses what cannot be put as the policy of a stream or a consumer.
func CheckResource(text string) error { return check(ParseResource(text)) }

func check(d *Document, err error) error {
	if err == nil && d.Twice != nil {
		err = leat.Invalid("policy", "the policy: %v", d.Twice)
	}
	return err
}

// ParseIdentity reads the policy of a role that was put. KindInvalidArgument says which statement is wrong, and why.
func ParseIdentity(text string) (*Document, error) { return parse(text, false) }

// ParseResource reads the policy of a stream or a consumer that was put, which names principals.
func ParseResource(text string) (*Document, error) { return parse(text, true) }

func parse(text string, ofResource bool) (*Document, error) {
	if len(text) > MaxBytes {
		return nil, leat.Invalid("policy", "a policy of %d bytes is larger than %d", len(text), MaxBytes)
	}
	if strings.Contains(text, "${") {
		return nil, leat.Invalid("policy", "policy variables (${…}) are not supported")
	}
	var r raw
	if err := strict(text, &r); err != nil {
		return nil, leat.Invalid("policy", "the policy is no JSON object of a policy: %v", err)
	}
	if !slices.Contains(versions, r.Version) {
		return nil, leat.Invalid("policy", "the policy's Version %.40q must be one of %q", r.Version, versions)
	}
	all, err := statements(r.Statement)
	if err != nil || len(all) == 0 || len(all) > maxStatements {
		return nil, leat.Invalid("policy", "the policy's Statement must be a statement or a list of up to %d of them", maxStatements)
	}
	d := &Document{statements: make([]statement, len(all)), Twice: unique(json.NewDecoder(strings.NewReader(text)), documentDepth)}
	for i := range all {
		if err := d.statements[i].read(&all[i], ofResource); err != nil {
			return nil, leat.Invalid("policy", "statement %d of the policy: %v", i+1, err)
		}
		for _, c := range d.statements[i].conditions {
			d.UsesSource = d.UsesSource || c.key == keySourceIP
			d.UsesResourceTags = d.UsesResourceTags || strings.HasPrefix(c.key, prefixResourceTag)
		}
	}
	return d, nil
}

// strict reads one JSON value and nothing else, without members that are not known.
func strict(text string, to any) error {
	d := json.NewDecoder(strings.NewReader(text))
	d.DisallowUnknownFields()
	if err := d.Decode(to); err != nil {
		return err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return fmt.Errorf("something follows the policy")
	}
	return nil
}

// documentDepth is how deep the objects lie whose members are a document's and a statement's.
const documentDepth = 2

// unique refuses an object that has a member twice: the last one alone holds, and the policy is another than it seems. The
// members of the outer objects, folded deep, are alike without regard to case: so they are read.
func unique(d *json.Decoder, folded int) error {
	t, err := d.Token()
	if err != nil {
		return err
	}
	switch t {
	case json.Delim('['):
		for d.More() {
			if err := unique(d, folded); err != nil {
				return err
			}
		}
	case json.Delim('{'):
		for names := []string(nil); d.More(); {
			if names, err = another(d, names, folded > 0); err != nil {
				return err
			}
			if err := unique(d, folded-1); err != nil {
				return err
			}
		}
	default:
		return nil
	}
	_, err = d.Token() // the end of it
	return err
}

// another reads the name of a member, which none of those before it MUST have.
func another(d *json.Decoder, names []string, fold bool) ([]string, error) {
	t, err := d.Token()
	if err != nil {
		return nil, err
	}
	name, _ := t.(string)
	if slices.ContainsFunc(names, func(n string) bool { return n == name || fold && strings.EqualFold(n, name) }) {
		return nil, fmt.Errorf("the member %.80q is there twice", name)
	}
	return append(names, name), nil
}

// statements reads one statement, or a list of them.
func statements(text json.RawMessage) (list []rawStatement, err error) {
	if text = bytes.TrimSpace(text); len(text) > 0 && text[0] == '{' {
		list = make([]rawStatement, 1)
		return list, strict(string(text), &list[0])
	}
	return list, strict(string(text), &list)
}

func (s *statement) read(r *rawStatement, ofResource bool) (err error) {
	s.sid = r.Sid
	switch r.Effect {
	case "Allow":
	case "Deny":
		s.deny = true
	default:
		return fmt.Errorf("the Effect %.40q must be Allow or Deny", r.Effect)
	}
	if s.actions, s.notActions, err = either("Action", r.Action, r.NotAction); err != nil {
		return err
	}
	for i, a := range s.actions {
		if s.actions[i] = strings.ToLower(a); a != "*" && !strings.Contains(a, ":") {
			return fmt.Errorf("action %.80q must be * or SERVICE:NAME, such as kinesis:PutRecord", a)
		}
	}
	if s.resources, s.notIn, err = either("Resource", r.Resource, r.NotResource); err != nil {
		return err
	}
	for i, p := range s.resources {
		if p != "*" && !strings.HasPrefix(p, "arn:") {
			return fmt.Errorf("resource %.160q must be * or an ARN", p)
		}
		s.resources[i] = timeless(p)
	}
	if err := s.readPrincipals(r, ofResource); err != nil {
		return err
	}
	s.conditions, err = readConditions(r.Condition)
	return err
}

// either reads a member or its Not form; one of them MUST be there.
func either(name string, one, not json.RawMessage) (patterns []string, negated bool, err error) {
	if blank(one) == blank(not) {
		return nil, false, fmt.Errorf("there must be %s or Not%s", name, name)
	}
	if negated = blank(one); negated {
		one = not
	}
	patterns, err = texts(one)
	if err != nil {
		return nil, false, fmt.Errorf("%s: %w", name, err)
	}
	return patterns, negated, nil
}

func blank(text json.RawMessage) bool {
	return slices.Contains([]string{"", "null", `""`, "[]", "{}"}, string(text))
}

// texts reads a string or a list of strings.
func texts(text json.RawMessage) (list []string, err error) {
	var one string
	if json.Unmarshal(text, &one) == nil {
		list = []string{one}
	} else if err := json.Unmarshal(text, &list); err != nil {
		return nil, fmt.Errorf("it must be a string or a list of strings")
	}
	if len(list) == 0 || len(list) > maxEntries {
		return nil, fmt.Errorf("it must have 1 to %d entries", maxEntries)
	}
	for _, s := range list {
		if s == "" || len(s) > maxPattern {
			return nil, fmt.Errorf("each entry must have 1 to %d characters", maxPattern)
		}
	}
	return list, nil
}

// readPrincipals reads Principal or NotPrincipal: "*", or {"AWS": …} with accounts and ARNs. Principals of other kinds
// (Service, Federated, CanonicalUser) and users are nobody here: they match no caller.
func (s *statement) readPrincipals(r *rawStatement, ofResource bool) error {
	if !ofResource {
		if !blank(r.Principal) || !blank(r.NotPrincipal) {
			return fmt.Errorf("the policy of a role has no Principal: it holds for whoever has the role")
		}
		return nil
	}
	if blank(r.Principal) == blank(r.NotPrincipal) {
		return fmt.Errorf("there must be Principal or NotPrincipal")
	}
	text := r.Principal
	if s.notBy = blank(text); s.notBy {
		text = r.NotPrincipal
		if !s.deny {
			return fmt.Errorf("NotPrincipal with Allow would allow the whole world but some: name who is meant with Principal")
		}
	}
	var all string
	if json.Unmarshal(text, &all) == nil {
		if all != "*" {
			return fmt.Errorf("the Principal must be * or an object such as {\"AWS\": \"123456789012\"}")
		}
		s.principals = []principal{{}}
		return nil
	}
	var kinds map[string]json.RawMessage
	if err := json.Unmarshal(text, &kinds); err != nil {
		return fmt.Errorf("the Principal must be * or an object such as {\"AWS\": \"123456789012\"}")
	}
	for kind, who := range kinds {
		list, err := texts(who)
		switch {
		case err != nil:
			return fmt.Errorf("the Principal: %w", err)
		case kind == "Service" || kind == "Federated" || kind == "CanonicalUser":
			continue
		case kind != "AWS":
			return fmt.Errorf("the Principal has the unknown kind %.40q", kind)
		}
		for _, name := range list {
			p, err := readPrincipal(name)
			if err != nil {
				return err
			}
			s.principals = append(s.principals, p)
		}
	}
	return nil
}

func readPrincipal(name string) (principal, error) {
	if name == "*" {
		return principal{}, nil
	}
	if isAccount(name) {
		return principal{account: name}, nil
	}
	part := strings.SplitN(name, ":", 6)
	if len(part) != 6 || part[0] != "arn" || part[2] != "iam" && part[2] != "sts" || part[3] != "" || !isAccount(part[4]) || strings.ContainsAny(part[5], "*?") {
		return principal{}, fmt.Errorf("principal %.160q must be *, an account or an ARN such as arn:aws:iam::123456789012:role/reader, without wildcards", name)
	}
	if part[5] == "root" {
		return principal{account: part[4]}, nil
	}
	return principal{account: part[4], arn: RoleARN(part[4], strings.TrimPrefix(part[5], "role/"))}, nil
}

func isAccount(s string) bool {
	if len(s) != 12 {
		return false
	}
	return strings.Trim(s, "0123456789") == ""
}

// RoleARN names a role as policies do.
func RoleARN(account, role string) string { return "arn:aws:iam::" + account + ":role/" + role }

// RootARN names an account as policies do: who calls with a credential that has no role.
func RootARN(account string) string { return "arn:aws:iam::" + account + ":root" }

// timeless takes the time of a consumer's creation off its ARN: a consumer that is made again under the same name is the
// same to policies.
func timeless(arn string) string {
	const mark = "/consumer/"
	at := strings.LastIndex(arn, mark)
	if at < 0 {
		return arn
	}
	name, _, _ := strings.Cut(arn[at+len(mark):], ":")
	return arn[:at+len(mark)] + name
}
