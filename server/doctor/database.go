// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package doctor

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/leatstream/leat/internal/sqldb"
)

const (
	oldestPostgres   = 15_0000 // what Leat's own tests run on
	fewConnections   = 50
	nodeConnections  = 17 // of a node: sqldb's pool, and one that listens
	spareConnections = 10 // for people, a backup, and those that PostgreSQL keeps back for superusers
	slowQuery        = 10 * time.Millisecond
	databaseSamples  = 20
)

// database checks PostgreSQL.
func database(ctx context.Context, dsn string, report func(Finding)) {
	db, err := sqldb.Open(ctx, sqldb.Config{Postgres: dsn, MaxConns: 2})
	if err != nil {
		report(Finding{"postgres", Bad, err.Error(), "streams do not change and dead nodes are not replaced without it; a server does not start", "check the address, the password, pg_hba.conf and firewalls from this machine"})
		return
	}
	defer db.Close()
	settings := map[string]string{}
	for _, name := range []string{"server_version_num", "server_version", "fsync", "full_page_writes", "synchronous_commit", "max_connections", "default_transaction_read_only", "server_encoding"} {
		value := ""
		if err := db.View(ctx, func(tx *sqldb.Tx) error { return tx.Row(`SELECT current_setting('` + name + `')`).Scan(&value) }); err != nil {
			report(Finding{"postgres", Bad, err.Error(), "it answers, but not to questions", "look at its log"})
			return
		}
		settings[name] = value
	}
	var nodes int // none where no node has made the tables yet
	_ = db.View(ctx, func(tx *sqldb.Tx) error {
		return tx.Row(`SELECT count(*) FROM sessions WHERE state = 'live'`).Scan(&nodes)
	})
	for _, f := range judgeSettings(settings, nodes) {
		report(f)
	}
	var standby bool
	if err := db.View(ctx, func(tx *sqldb.Tx) error { return tx.Row(`SELECT pg_is_in_recovery()`).Scan(&standby) }); err == nil && standby {
		report(Finding{"postgres primary", Bad, "this is a standby", "Leat writes", "give the address of the primary, or one that follows it"})
	}
	times, err := measure(databaseSamples, func(int) error {
		return db.View(ctx, func(tx *sqldb.Tx) error {
			var one int
			return tx.Row(`SELECT 1`).Scan(&one)
		})
	})
	if err != nil {
		report(Finding{"postgres latency", Bad, err.Error(), "the connection does not hold", "look for a proxy or firewall that cuts connections"})
		return
	}
	report(latency("postgres latency", times, slowQuery, "a take-over and a reshard are a row of transactions; puts and reads of the tail do not wait for it", "put the database into the nodes' region and zone"))
	var micros int64
	began := time.Now()
	err = db.View(ctx, func(tx *sqldb.Tx) error {
		return tx.Row(`SELECT CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000000 AS BIGINT)`).Scan(&micros)
	})
	took := time.Since(began)
	if err == nil {
		report(skew("postgres clock", "the database", began.Add(took/2).Sub(time.UnixMicro(micros)), took/2))
	}
}

// judgeSettings says what settings of PostgreSQL mean for so many nodes.
func judgeSettings(s map[string]string, nodes int) (all []Finding) {
	f := Finding{Check: "postgres version", Grade: OK, Found: s["server_version"]}
	if n, err := strconv.Atoi(s["server_version_num"]); err != nil || n < oldestPostgres {
		f.Grade, f.Means, f.Do = Warn, fmt.Sprintf("Leat is tested on %d and newer", oldestPostgres/10000), "upgrade it"
	}
	all = append(all, f)
	for _, name := range []string{"fsync", "full_page_writes", "synchronous_commit"} {
		f := Finding{Check: "postgres " + name, Grade: OK, Found: s[name]}
		if s[name] == "off" {
			f.Grade = Bad
			f.Means = "what the database said it had committed is lost when its machine crashes: Leat then refuses to serve until the database was rebuilt from the bucket"
			f.Do = "set " + name + " = on in postgresql.conf, or for this database or role if it was changed there"
		}
		all = append(all, f)
	}
	f = Finding{Check: "postgres max_connections", Grade: OK, Found: fmt.Sprintf("%s, for %d live nodes", s["max_connections"], nodes)}
	need := max(fewConnections, (nodes+1)*nodeConnections+spareConnections) // an upgrade has one node more
	if n, err := strconv.Atoi(s["max_connections"]); err != nil || n < need {
		f.Grade = Warn
		f.Means = fmt.Sprintf("a node opens up to %d connections: one that gets none cannot say that it is alive", nodeConnections)
		f.Do = fmt.Sprintf("set max_connections = %d or more: %d for each node, one node more during an upgrade, and some for people", need, nodeConnections)
	}
	all = append(all, f)
	if s["default_transaction_read_only"] == "on" {
		all = append(all, Finding{"postgres read-only", Bad, "default_transaction_read_only is on", "Leat writes", "turn it off for this role"})
	}
	if e := s["server_encoding"]; e != "UTF8" {
		all = append(all, Finding{"postgres encoding", Bad, e, "names of streams and keys are UTF-8", "make the database with ENCODING 'UTF8'"})
	}
	return all
}
