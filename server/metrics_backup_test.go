// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package server

import (
	"context"
	"errors"
	"log/slog"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/leatstream/leat/internal/tlstest"
	"github.com/leatstream/leat/shardstore/blob/mem"
	"github.com/leatstream/leat/shardstore/wal/waltest"
)

// The leader tells when the newest whole backup was begun, asks the bucket once an hour, and goes on telling while that is away.
func TestBackupMetrics(t *testing.T) {
	clock := waltest.NewClock()
	began := clock.Now()
	store := mem.New(clock.Now)
	leads := true
	m := newBackupMetrics(backups{store}, func() bool { return leads }, clock)
	r := prometheus.NewPedanticRegistry()
	r.MustRegister(m)
	tells := func(want time.Time) {
		t.Helper()
		families, err := r.Gather()
		if err != nil {
			t.Fatal(err)
		}
		got := time.Time{}
		for _, f := range families {
			got = time.Unix(int64(f.GetMetric()[0].GetGauge().GetValue()), 0).UTC()
		}
		if !got.Equal(want) {
			t.Errorf("at %s it tells %s, want %s", clock.Now(), got, want)
		}
	}
	write := func(name string, whole bool) {
		t.Helper()
		err := store.Create(t.Context(), partKey(name, 0), []byte("x"))
		if whole {
			err = errors.Join(err, store.Create(t.Context(), backupsPrefix+name+"/"+backupWhole, []byte("{}")))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	tells(time.Time{})
	write(began.Format(backupName), true)
	write(began.Add(time.Hour).Format(backupName), false) // is being written, or was given up
	tells(time.Time{})
	clock.Advance(backupsLookEvery)
	tells(began)
	working := m.newest
	m.newest = func(context.Context) (time.Time, error) { return time.Time{}, errors.New("away") }
	write(began.Add(24*time.Hour).Format(backupName), true)
	clock.Advance(backupsLookEvery)
	tells(began)
	m.newest = working
	tells(began)
	clock.Advance(backupsLookAgain)
	tells(began.Add(24 * time.Hour))
	leads = false
	tells(time.Time{})
}

// Nodes tell until when the certificate holds that they show now; one without TLS tells nothing.
func TestCertificateMetrics(t *testing.T) {
	dir, ca, clock := t.TempDir(), tlstest.NewAuthority(t, "our authority"), waltest.NewClock()
	cert, key := ca.Files(t, dir, "first", time.Hour)
	certs, err := newCertificates(TLS{Cert: cert, Key: key}, clock, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	left := func(m *certificateMetrics) (all []time.Duration) {
		t.Helper()
		r := prometheus.NewPedanticRegistry()
		r.MustRegister(m)
		families, err := r.Gather()
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range families {
			all = append(all, time.Until(time.Unix(int64(f.GetMetric()[0].GetGauge().GetValue()), 0)).Round(time.Hour))
		}
		return all
	}
	m := newCertificateMetrics(certs.config(), nil)
	if got := left(m); len(got) != 1 || got[0] != time.Hour {
		t.Errorf("the certificate holds for %v, want an hour", got)
	}
	ca.Files(t, dir, "the second", 5*time.Hour)
	clock.Advance(lookEvery)
	if got := left(m); len(got) != 1 || got[0] != 5*time.Hour {
		t.Errorf("the new certificate holds for %v, want five hours", got)
	}
	if got := left(newCertificateMetrics(nil, nil)); len(got) != 0 {
		t.Errorf("without TLS: %v", got)
	}
}
