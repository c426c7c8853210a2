// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package server

import (
	"context"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/server/catalog"
)

// clusterMetrics are counts of the whole cluster. The leader alone has them, so that they are one series whatever the
// number of nodes; leat_leader is on all, and absent where the catalog does not answer.
type clusterMetrics struct {
	catalog interface {
		Overview(ctx context.Context, session leat.SessionID) (o catalog.Overview, leads bool, err error)
	}
	session                              func() leat.SessionID
	leads, nodes, shards, unowned, moved *prometheus.Desc
}

// overviewWithin keeps a scrape short while the catalog is away.
const overviewWithin = time.Second

func newClusterMetrics(cat *catalog.Catalog, session func() leat.SessionID) *clusterMetrics {
	desc := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc(name, help, labels, nil)
	}
	return &clusterMetrics{
		catalog: cat, session: session,
		leads:   desc("leat_leader", "1 on the node that leads the cluster."),
		nodes:   desc("leat_cluster_nodes", "Nodes of the cluster: live, or declared dead and being fenced. The leader tells.", "state"),
		shards:  desc("leat_cluster_shards", "Shards of the cluster, closed ones too. The leader tells."),
		unowned: desc("leat_cluster_shards_unowned", "Shards that no node serves. The leader tells."),
		moved:   desc("leat_cluster_shards_moving", "Shards that are being handed from one node to another. The leader tells."),
	}
}

// Describe implements prometheus.Collector.
func (m *clusterMetrics) Describe(c chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{m.leads, m.nodes, m.shards, m.unowned, m.moved} {
		c <- d
	}
}

// Collect implements prometheus.Collector.
func (m *clusterMetrics) Collect(c chan<- prometheus.Metric) {
	gauge := func(d *prometheus.Desc, n int, labels ...string) {
		c <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, float64(n), labels...)
	}
	session := m.session()
	if session.IsZero() {
		gauge(m.leads, 0)
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), overviewWithin)
	defer cancel()
	o, leads, err := m.catalog.Overview(ctx, session)
	switch {
	case err != nil: // the other metrics stand: leat_leader is missing
	case !leads:
		gauge(m.leads, 0)
	default:
		gauge(m.leads, 1)
		gauge(m.nodes, o.Live, "live")
		gauge(m.nodes, o.Fencing, "fencing")
		gauge(m.shards, o.Shards)
		gauge(m.unowned, o.Unowned)
		gauge(m.moved, o.Moving)
	}
}
