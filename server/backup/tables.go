// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package backup

import (
	"slices"

	"github.com/leatstream/leat/billing"
	"github.com/leatstream/leat/internal/sqldb"
	"github.com/leatstream/leat/server/audit"
	"github.com/leatstream/leat/server/catalog"
	"github.com/leatstream/leat/server/delivery"
)

// schemas are the owners of Leat's tables, in the order in which they are migrated.
func schemas() []sqldb.Schema {
	return append(catalog.Schemas(), delivery.Schema(), billing.Schema(), audit.Schema())
}

// history are the tables that a restored database takes from the backup: nothing else has them.
var history = []string{
	"usage", "spans", "dirty", "manifests", "scale_calls", "scale_events",
	"billing_state", "billing_counts", "billing_flushes", "billing_ledger", "billing_invoices", "billing_entries",
	"billing_budgets", "billing_budget_months", "billing_budget_alerts", "billing_deliveries",
	"audit_events",
}

// control are the tables of which a restored database has the bucket's newer version. The backup's say what its history was of.
var control = []string{
	"revision", "journal", "identity", "accounts", "roles", "account_settings",
	"sessions", "streams", "shards", "intents", "consumers", "tags", "policies",
	"deliveries", "delivery_backfills", "delivery_cursors", "delivery_plans",
}

// leftOut are the tables that are in no backup, each with the reason.
var leftOut = map[string]string{
	"cluster":       "the header has the cluster's id; its secrets are made anew",
	sqldb.Floor:     "every program's migrations say it",
	"leader":        "of the moment",
	"beats":         "of the moment",
	"extents":       "the objects themselves say what they hold",
	"objects":       "the same",
	"packs":         "the same",
	"closed_shards": "the objects that end sessions say it",
	"deletions":     "what nothing names is found again",

	"billing_stretches": "they say what of the ledger is summed up: nothing of a restored one",
	"billing_sums":      "made anew from the ledger",

	// The journal in the bucket has these; in backups they would be there for thieves, and outlive what is erased.
	"stream_keys":      "wrapped keys of streams",
	"access_keys":      "wrapped secrets",
	"tokens":           "hashes of secrets",
	"delivery_configs": "wrapped secrets of destinations",
}

// seeded are the tables of history that have rows in a new database.
var seeded = []string{"billing_state"}

// tables are all tables of a backup.
func tables() []string { return slices.Concat(control, history) }
