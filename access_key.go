// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package leat

import (
	"regexp"
	"time"
)

// AccessKey is a key of the AWS kind: its holder signs requests with a secret, which is not here.
type AccessKey struct {
	ID      string // 20 characters, such as LEAKJ4QXH5Y2ZC7MWTNA
	Account string // that its holder acts in
	Name    string // for people: who or what holds it; two keys may share one
	Role    string // whose policy binds its holder; empty: everything in the account
	Active  bool   // it is refused while it is not
	Created time.Time
}

// MaxAccessKeys is how many keys an account may have.
const MaxAccessKeys = 100

var (
	accessKeyName = regexp.MustCompile(`^[a-zA-Z0-9_.@ -]{1,128}$`)
	accessKeyID   = regexp.MustCompile(`^[A-Z0-9]{16,128}$`)
)

// ValidateAccessKeyName accepts 1 to 128 characters of a-z, A-Z, 0-9, space and _.@-.
func ValidateAccessKeyName(name string) error {
	if !accessKeyName.MatchString(name) {
		return Invalid("name", "the name of an access key %.256q must have 1 to 128 characters of a-z, A-Z, 0-9, space and _.@-", name)
	}
	return nil
}

// ValidateAccessKeyID accepts what has the form of an id.
func ValidateAccessKeyID(id string) error {
	if !accessKeyID.MatchString(id) {
		return Invalid("key_id", "the id of an access key %.256q must have 16 to 128 characters of A-Z and 0-9", id)
	}
	return nil
}
