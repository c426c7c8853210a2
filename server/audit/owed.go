// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package audit

import "time"

// Each change is a row of its own for weeks, with what was there before and after. What an account has had written is owed and paid
// off with time: so none fills the database, and no change is left out of the log for that. What operators change, who wait for
// nothing, is not owed by the account that they act for.
const (
	maxOwed  = 8 << 20 // bytes: some 5,000 changes at once, or 130 of the largest policies
	paidOff  = 8 << 10 // bytes a second
	rowBytes = 256     // of a row beside its texts
)

// debt is what an account owes.
type debt struct {
	bytes float64
	at    time.Time
}

func (d *debt) pay(now time.Time) {
	if t := now.Sub(d.at); t > 0 {
		d.bytes, d.at = max(0, d.bytes-t.Seconds()*paidOff), now
	}
}

// Wait is how long an account MUST wait before it changes something; 0: it need not.
func (l *Log) Wait(account string) time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	d := l.debts[account]
	if d == nil {
		return 0
	}
	d.pay(l.opts.Clock.Now())
	if d.bytes < maxOwed {
		return 0
	}
	return time.Duration((d.bytes-maxOwed)/paidOff*float64(time.Second)) + time.Second
}

// owe is told of each change that is kept. l.mu is held.
func (l *Log) owe(e *Event) {
	if e.Operator {
		return
	}
	d := l.debts[e.Account]
	if d == nil {
		d = &debt{at: e.Time}
		l.debts[e.Account] = d
	}
	d.pay(e.Time)
	d.bytes += float64(e.size())
}

// size is about what an event takes in the database.
func (e *Event) size() int {
	n := rowBytes + len(e.Before) + len(e.After)
	for _, text := range e.texts() {
		n += len(*text)
	}
	return n
}

// forgive drops accounts that owe nothing any more. l.mu is held.
func (l *Log) forgive() {
	now := l.opts.Clock.Now()
	for account, d := range l.debts {
		if d.pay(now); d.bytes == 0 {
			delete(l.debts, account)
		}
	}
}
