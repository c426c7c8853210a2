// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package leat

import (
	"net/netip"
	"regexp"
	"time"
	"unicode/utf8"
)

// Account is a tenant: it owns streams, keys, tokens and roles, and sees nothing of others.
type Account struct {
	ID      string // 12 digits
	Name    string // for people; two accounts may share one
	Labels  map[string]string
	State   AccountState
	Created time.Time
	Quotas  Quotas
}

// AccountState is the life of an account.
type AccountState string

// The states of an account.
const (
	AccountActive   AccountState = "ACTIVE"
	AccountDisabled AccountState = "DISABLED" // its keys and tokens are refused
	AccountDeleting AccountState = "DELETING" // its streams are going; then it is gone
)

// Quotas bound what one account can have and do. A zero means the server's default.
type Quotas struct {
	Streams         int64         `json:"streams,omitzero"`
	Shards          int64         `json:"shards,omitzero"` // open ones, of all streams
	OnDemandStreams int64         `json:"on_demand_streams,omitzero"`
	Consumers       int64         `json:"consumers,omitzero"` // of all streams
	Deliveries      int64         `json:"deliveries,omitzero"`
	BytesIn         int64         `json:"bytes_in,omitzero"`  // a second
	BytesOut        int64         `json:"bytes_out,omitzero"` // a second
	StoredBytes     int64         `json:"stored_bytes,omitzero"`
	Retention       time.Duration `json:"retention,omitzero"` // the longest of a stream
}

// Role is what keys and tokens may do: whoever holds one with this role is bound by its policy.
type Role struct {
	Account     string
	Name        string
	Description string
	Policy      string            // as it was written
	Tags        map[string]string // aws:PrincipalTag of conditions
	Created     time.Time
	Changed     time.Time
}

// Token is an API token of gRPC and REST, without its secret.
type Token struct {
	ID      string
	Account string
	Name    string
	Role    string // empty: everything in its account
	Active  bool
	Created time.Time
	Expires time.Time // zero: never
}

// The bounds of an account.
const (
	MaxTokens        = 1000 // of an account
	MaxRoles         = 1000 // of an account
	MaxLabels        = 50   // of an account; tags of a role
	MaxAccountName   = 128  // characters
	MaxDescription   = 1000 // characters, of a role
	MaxAccounts      = 10_000
	MinTokenLifetime = time.Minute
)

var (
	roleName = regexp.MustCompile(`^[a-zA-Z0-9_+=,.@-]{1,64}$`)
	tokenID  = regexp.MustCompile(`^[A-Z2-7]{16}$`)
)

// ValidateAccountID accepts 12 digits.
func ValidateAccountID(id string) error {
	if !accountForm.MatchString(id) {
		return Invalid("account", "account %.40q must have 12 digits", id)
	}
	return nil
}

// ValidateAccountName accepts 1 to 128 printable characters.
func ValidateAccountName(name string) error {
	if n := utf8.RuneCountInString(name); n < 1 || n > MaxAccountName || !utf8.ValidString(name) || regexp.MustCompile(`[[:cntrl:]]`).MatchString(name) {
		return Invalid("name", "the name of an account %.160q must have 1 to %d characters", name, MaxAccountName)
	}
	return nil
}

// ValidateRoleName accepts 1 to 64 characters of a-z, A-Z, 0-9 and _+=,.@-
func ValidateRoleName(name string) error {
	if !roleName.MatchString(name) {
		return Invalid("role", "role %.160q must be 1 to 64 characters of a-z, A-Z, 0-9 and _+=,.@-", name)
	}
	return nil
}

// ValidateTokenID accepts what has the form of a token's id.
func ValidateTokenID(id string) error {
	if !tokenID.MatchString(id) {
		return Invalid("token_id", "the id of a token %.80q must have 16 characters of A-Z and 2-7", id)
	}
	return nil
}

// Origin is where a request comes from, for policies and the audit log.
type Origin struct {
	Source  netip.Addr // zero: not known
	Request string     // its id
	Agent   string     // what the caller's program says that it is
	Edge    Edge
}

// Edge is a way by which requests come in.
type Edge string

// The edges.
const (
	EdgeGRPC     Edge = "grpc"
	EdgeREST     Edge = "rest"
	EdgeKinesis  Edge = "kinesis"
	EdgeFirehose Edge = "firehose"
	EdgeConsole  Edge = "console"

	EdgeCloudWatch Edge = "cloudwatch"
)
