// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

// Package doctor looks at what a Leat server stands on, or is about to: its database, its bucket, a disk, the clocks, and how a
// running server answers. Each finding says what was seen, what it means and what to do.
//
// It changes nothing of a server's: what it writes goes under keys of its own and is removed again. It does not decide; a
// server refuses by itself what it cannot stand on.
package doctor

import (
	"context"
	"crypto/tls"
	"fmt"
	"slices"
	"time"

	"github.com/leatstream/leat/shardstore/blob/s3"
)

// Grade says how bad a finding is.
type Grade string

// The grades. Only Bad keeps Leat from working, or from keeping its promise.
const (
	OK   Grade = "ok"
	Warn Grade = "warn"
	Bad  Grade = "bad"
	Skip Grade = "skipped"
)

// Finding is what came of one check.
type Finding struct {
	Check string `json:"check"`
	Grade Grade  `json:"grade"`
	Found string `json:"found"`           // what was seen
	Means string `json:"means,omitempty"` // why that matters; empty where all is well
	Do    string `json:"do,omitempty"`    // the remedy
}

// Options say what to look at; what is empty is left out.
type Options struct {
	Postgres string       // its DSN
	Buckets  []s3.Options // one bucket, through each of its endpoints
	HTTP     string       // URL of a running server
	TLS      *tls.Config  // how to meet that server where its URL is https; nil for what this machine trusts
	DataDir  string       // a folder of leat dev, or where it shall be
}

// Run makes all checks that o asks for, in order, and hands each finding to tell as soon as it is there. It returns whether
// nothing was bad.
func Run(ctx context.Context, o Options, tell func(Finding)) (healthy bool) {
	healthy = true
	report := func(f Finding) {
		healthy = healthy && f.Grade != Bad
		tell(f)
	}
	if o.Postgres != "" {
		database(ctx, o.Postgres, report)
	}
	if len(o.Buckets) > 0 {
		bucket(ctx, o.Buckets, report)
	}
	if o.DataDir != "" {
		report(disk(o.DataDir))
	}
	if o.HTTP != "" {
		probe(ctx, o.HTTP, o.TLS, report)
	}
	// A node stands on both, and a doctor who was not told of one must not seem to have found it well.
	switch {
	case o.Postgres != "" && len(o.Buckets) == 0:
		report(Finding{"bucket", Skip, "not looked at: no --s3-endpoint was given", "a node keeps all records there", "give the --s3 flags, their LEAT_S3_… variables or the servers' --config"})
	case o.Postgres == "" && len(o.Buckets) > 0:
		report(Finding{"postgres", Skip, "not looked at: no --postgres was given", "a node does not start without it", "give --postgres, LEAT_POSTGRES or the servers' --config"})
	}
	return healthy
}

// timing is a sample of how long something takes.
type timing []time.Duration

// measure runs do n times, and stops at the first error.
func measure(n int, do func(i int) error) (timing, error) {
	all := make(timing, 0, n)
	for i := range n {
		began := time.Now()
		if err := do(i); err != nil {
			return all, err
		}
		all = append(all, time.Since(began))
	}
	slices.Sort(all)
	return all, nil
}

func (t timing) median() time.Duration { return t[len(t)/2] }

func (t timing) String() string {
	return fmt.Sprintf("median %s, slowest %s of %d", short(t.median()), short(t[len(t)-1]), len(t))
}

// short says a time in three digits.
func short(d time.Duration) string {
	switch {
	case d >= time.Second:
		return d.Round(10 * time.Millisecond).String()
	case d >= time.Millisecond:
		return d.Round(10 * time.Microsecond).String()
	}
	return d.Round(time.Microsecond).String()
}

// latency judges a sample by its median.
func latency(check string, t timing, slow time.Duration, means, do string) Finding {
	f := Finding{Check: check, Grade: OK, Found: t.String()}
	if t.median() > slow {
		f.Grade, f.Means, f.Do = Warn, means, do
	}
	return f
}

// The bounds of how far clocks may be apart: AWS refuses signatures beyond five minutes, and times of records come from them.
const (
	skewWarn = 2 * time.Second
	skewBad  = 4 * time.Minute
)

// skew judges how far this machine's clock is from another one, of which is known that it is at least uncertain.
func skew(check, whose string, off, uncertain time.Duration) Finding {
	f := Finding{Check: check, Grade: OK, Found: fmt.Sprintf("%s from that of %s, ± %s", short(off), whose, short(uncertain))}
	switch far := off.Abs() - uncertain; {
	case far > skewBad:
		f.Grade = Bad
	case far > skewWarn:
		f.Grade = Warn
	default:
		return f
	}
	f.Means = "records would have wrong times, and requests that are signed by this clock are refused when it is off by five minutes"
	f.Do = "run an NTP client (chrony, systemd-timesyncd) on both machines"
	return f
}
