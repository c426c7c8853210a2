// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package billing

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"time"

	"github.com/leatstream/leat/internal/sqldb"
)

// A webhook is sent each alert of its budget as JSON, by POST, until it answers with a status of 200 to 299:
//
//	Leat-Event: the alert's id, the same in each attempt
//	Leat-Signature: t=SECONDS,v1=HEX
//
// where HEX is HMAC-SHA256(secret, SECONDS "." body) and SECONDS is the time of the attempt. After an attempt that fails the next
// comes 15 seconds later, then twice as long each time, up to an hour; after 72 hours the alert is given up as FAILED. An
// attempt is written down before it is made, so a node that dies repeats it at most.
const (
	hookTimeout  = 10 * time.Second
	hookFirst    = 15 * time.Second
	hookLongest  = time.Hour
	hookGiveUp   = 72 * time.Hour
	hooksAtOnce  = 20
	maxHookError = 200
)

// SignatureHeader and EventHeader are what a webhook is sent beside the body.
const (
	SignatureHeader = "Leat-Signature"
	EventHeader     = "Leat-Event"
)

// Sign is the value of SignatureHeader.
func Sign(secret string, at time.Time, body []byte) string {
	seconds := strconv.FormatInt(at.Unix(), 10)
	m := hmac.New(sha256.New, []byte(secret))
	_, _ = io.WriteString(m, seconds+".") // a hash does not fail
	_, _ = m.Write(body)
	return "t=" + seconds + ",v1=" + hex.EncodeToString(m.Sum(nil))
}

type dueAlert struct {
	id, account, name, body, url, secret string
	attempts                             int64
	at                                   time.Time
}

// SendAlerts makes the attempts that are due.
func (b *Billing) SendAlerts(ctx context.Context) error {
	var due []dueAlert
	now := b.now()
	err := b.db.View(ctx, func(tx *sqldb.Tx) error {
		due = nil
		return tx.Each(`
SELECT a.id, a.account, a.name, a.body, a.attempts, a.at, b.url, b.secret FROM billing_budget_alerts a
JOIN billing_budgets b ON b.account = a.account AND b.name = a.name
WHERE a.state = 'PENDING' AND a.due <= $1 ORDER BY a.due LIMIT $2`, func(scan sqldb.Scan) error {
			var d dueAlert
			err := scan(&d.id, &d.account, &d.name, &d.body, &d.attempts, sqldb.Time(&d.at), &d.url, &d.secret)
			due = append(due, d)
			return err
		}, now, hooksAtOnce)
	})
	var all []error
	for i := range due {
		all = append(all, b.send(ctx, &due[i]))
	}
	return errors.Join(append(all, err)...)
}

// send makes one attempt.
func (b *Billing) send(ctx context.Context, d *dueAlert) error {
	wait := hookLongest
	if d.attempts < 10 {
		wait = min(wait, hookFirst<<d.attempts)
	}
	mine := false
	err := b.db.Tx(ctx, func(tx *sqldb.Tx) error {
		n, err := tx.Exec("UPDATE billing_budget_alerts SET attempts = attempts + 1, due = $1 WHERE id = $2 AND attempts = $3 AND state = 'PENDING'", b.now().Add(wait), d.id, d.attempts)
		mine = n == 1
		return err
	})
	if err != nil || !mine {
		return err // another node makes it
	}
	state, failure := "SENT", ""
	if err := b.post(ctx, d); err != nil {
		state, failure = "PENDING", fmt.Sprintf("%.*s", maxHookError, err.Error())
		if b.now().Sub(d.at) >= hookGiveUp {
			state = "FAILED"
			b.opts.Logger.Warn("a budget's webhook does not take an alert", "account", d.account, "budget", d.name, "alert", d.id, "error", err)
		}
	}
	return b.db.Tx(ctx, func(tx *sqldb.Tx) error {
		_, err := tx.Exec("UPDATE billing_budget_alerts SET state = $1, failure = $2 WHERE id = $3", state, failure, d.id)
		return err
	})
}

func (b *Billing) post(ctx context.Context, d *dueAlert) error {
	if d.url == "" || b.opts.Sealer == nil {
		return errors.New("there is no webhook, or no master key to sign with")
	}
	secret, err := b.opts.Sealer.Unwrap(budgetPurpose(d.account, d.name), d.secret)
	if err != nil {
		return errors.New("the secret cannot be read with this master key")
	}
	ctx, cancel := context.WithTimeout(ctx, hookTimeout)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, d.url, bytes.NewReader([]byte(d.body)))
	if err != nil {
		return errors.New("the URL cannot be asked")
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("User-Agent", "leat")
	r.Header.Set(EventHeader, d.id)
	r.Header.Set(SignatureHeader, Sign(string(secret), b.now(), []byte(d.body)))
	res, err := b.hooks.Do(r)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if res.StatusCode/100 != 2 {
		return fmt.Errorf("it answers with status %d", res.StatusCode)
	}
	return nil
}

// newHooks is the client of webhooks: it follows no redirection.
func newHooks() *http.Client {
	return &http.Client{Timeout: hookTimeout, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
}
