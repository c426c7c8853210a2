// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package server

import (
	"context"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/leatstream/leat"
)

// backupMetrics tell when the newest backup in the bucket was made: nobody else notices that backups have stopped. The leader alone looks,
// once an hour, and there is no series before there is a backup.
type backupMetrics struct {
	leads  func() bool
	newest func(context.Context) (time.Time, error)
	clock  leat.Clock
	taken  *prometheus.Desc

	mu   sync.Mutex
	next time.Time // not looked again before
	last time.Time // zero: there is none, or nobody looked yet
}

// How often the bucket is listed, how often where that failed, and how long a scrape may wait for it.
const (
	backupsLookEvery  = time.Hour
	backupsLookAgain  = time.Minute
	backupsLookWithin = 3 * time.Second
)

func newBackupMetrics(b backups, leads func() bool, clock leat.Clock) *backupMetrics {
	return &backupMetrics{
		leads: leads, newest: b.newest, clock: clock,
		taken: prometheus.NewDesc("leat_backup_newest_timestamp_seconds", "When the newest whole backup in the bucket was begun; looked for once an hour. Absent without one. The leader tells.", nil, nil),
	}
}

// Describe implements prometheus.Collector.
func (m *backupMetrics) Describe(c chan<- *prometheus.Desc) { c <- m.taken }

// Collect implements prometheus.Collector. While the bucket is away what was last seen stands: it was there.
func (m *backupMetrics) Collect(c chan<- prometheus.Metric) {
	if !m.leads() {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if now := m.clock.Now(); !now.Before(m.next) {
		ctx, cancel := context.WithTimeout(context.Background(), backupsLookWithin)
		defer cancel()
		if last, err := m.newest(ctx); err != nil {
			m.next = now.Add(backupsLookAgain)
		} else {
			m.next, m.last = now.Add(backupsLookEvery), last
		}
	}
	if !m.last.IsZero() {
		c <- prometheus.MustNewConstMetric(m.taken, prometheus.GaugeValue, float64(m.last.Unix()))
	}
}
