// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"slices"
	"strings"
)

// The keys of conditions. Others are refused.
const (
	keySourceIP         = "aws:sourceip"
	keyPrincipalARN     = "aws:principalarn"
	keyPrincipalAccount = "aws:principalaccount"
	keyResourceAccount  = "aws:resourceaccount"
	prefixPrincipalTag  = "aws:principaltag/"
	prefixResourceTag   = "aws:resourcetag/"
)

// condition holds when one of its values fits, or with negated when none does.
type condition struct {
	key      string // in lower case but for the name of a tag
	fits     func(value, want string) bool
	negated  bool
	ifExists bool // it holds too when the request has no such key
	absent   *bool
	values   []string
	networks []netip.Prefix
}

// operators are those of IAM that compare texts, ARNs and addresses.
var operators = map[string]struct {
	fits    func(value, want string) bool
	negated bool
	address bool
}{
	"StringEquals":              {fits: equal},
	"StringNotEquals":           {fits: equal, negated: true},
	"StringEqualsIgnoreCase":    {fits: strings.EqualFold},
	"StringNotEqualsIgnoreCase": {fits: strings.EqualFold, negated: true},
	"StringLike":                {fits: like},
	"StringNotLike":             {fits: like, negated: true},
	"ArnEquals":                 {fits: like},
	"ArnLike":                   {fits: like},
	"ArnNotEquals":              {fits: like, negated: true},
	"ArnNotLike":                {fits: like, negated: true},
	"IpAddress":                 {address: true},
	"NotIpAddress":              {address: true, negated: true},
}

func equal(value, want string) bool { return value == want }

func like(value, want string) bool { return glob(want, value) }

func readConditions(blocks map[string]map[string]json.RawMessage) (all []condition, err error) {
	for name, keys := range blocks {
		for key, values := range keys {
			c, err := readCondition(name, key, values)
			if err != nil {
				return nil, err
			}
			all = append(all, c)
		}
	}
	// In one order, whatever the map's: conditions hold together, and a decision says the same each time.
	slices.SortFunc(all, func(a, b condition) int { return strings.Compare(a.key, b.key) })
	return all, nil
}

func readCondition(operator, key string, values json.RawMessage) (c condition, err error) {
	if c.key, err = conditionKey(key); err != nil {
		return c, err
	}
	if c.values, err = texts(bools(values)); err != nil {
		return c, fmt.Errorf("condition %.80q: %w", key, err)
	}
	if operator == "Null" {
		if len(c.values) != 1 || c.values[0] != "true" && c.values[0] != "false" {
			return c, fmt.Errorf("condition Null of %.80q must be true or false", key)
		}
		absent := c.values[0] == "true"
		c.absent = &absent
		return c, nil
	}
	name, ifExists := strings.CutSuffix(operator, "IfExists")
	op, known := operators[name]
	if !known {
		return c, fmt.Errorf("the condition operator %.80q is not supported", operator)
	}
	c.fits, c.negated, c.ifExists = op.fits, op.negated, ifExists
	if op.address != (c.key == keySourceIP) {
		return c, fmt.Errorf("the condition operator %.80q does not go with the key %.80q", operator, key)
	}
	if !op.address {
		return c, nil
	}
	for _, v := range c.values {
		n, err := network(v)
		if err != nil {
			return c, fmt.Errorf("%.80q is no IP address and no network such as 10.0.0.0/8", v)
		}
		c.networks = append(c.networks, n)
	}
	return c, nil
}

// bools lets a condition's value be a bare true or false.
func bools(values json.RawMessage) json.RawMessage {
	if s := string(values); s == "true" || s == "false" {
		return json.RawMessage(`"` + s + `"`)
	}
	return values
}

// conditionKey is a key in the form that this package compares: without regard to case, but for the name of a tag.
func conditionKey(key string) (string, error) {
	lower := strings.ToLower(key)
	for _, prefix := range []string{prefixPrincipalTag, prefixResourceTag} {
		if strings.HasPrefix(lower, prefix) && len(key) > len(prefix) {
			return prefix + key[len(prefix):], nil
		}
	}
	if slices.Contains([]string{keySourceIP, keyPrincipalARN, keyPrincipalAccount, keyResourceAccount}, lower) {
		return lower, nil
	}
	return "", fmt.Errorf("the condition key %.80q is not supported: use aws:SourceIp, aws:PrincipalArn, aws:PrincipalAccount, aws:ResourceAccount, aws:PrincipalTag/NAME or aws:ResourceTag/NAME", key)
}

func network(s string) (netip.Prefix, error) {
	if strings.Contains(s, "/") {
		p, err := netip.ParsePrefix(s)
		return p.Masked(), err
	}
	a, err := netip.ParseAddr(s)
	if err != nil {
		return netip.Prefix{}, err
	}
	return netip.PrefixFrom(a, a.BitLen()), nil
}

func (c *condition) holds(q *Question) bool {
	value, there := q.value(c.key)
	switch {
	case c.absent != nil:
		return there != *c.absent
	case !there && c.ifExists:
		return true
	case !there:
		return c.negated // as with AWS: what is not there does not equal anything
	case c.key == keySourceIP:
		from := q.Source.Unmap()
		return slices.ContainsFunc(c.networks, func(n netip.Prefix) bool { return n.Contains(from) }) != c.negated
	}
	return slices.ContainsFunc(c.values, func(want string) bool { return c.fits(value, want) }) != c.negated
}

// value is what a request has under a key.
func (q *Question) value(key string) (string, bool) {
	switch key {
	case keySourceIP:
		return "", q.Source.IsValid()
	case keyPrincipalARN:
		return q.PrincipalARN, true
	case keyPrincipalAccount:
		return q.Account, true
	case keyResourceAccount:
		return q.Owner, true
	}
	if name, ok := strings.CutPrefix(key, prefixPrincipalTag); ok {
		v, there := q.PrincipalTags[name]
		return v, there
	}
	name, _ := strings.CutPrefix(key, prefixResourceTag)
	v, there := q.ResourceTags[name]
	return v, there
}
