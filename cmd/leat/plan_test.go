// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"strings"
	"testing"
)

func TestPlanPrintsEachBill(t *testing.T) {
	leat := leatAt(t, "127.0.0.1:1")
	out := leat("", "plan", "--mib-per-second", "1", "--consumers", "2").ok(t)
	for _, want := range []string{"3 nodes share 2 shards", "30 PUTs", "Leat on EC2", "Kinesis, provisioned", "Kinesis, on demand", "Kafka", "as known in 2025"} {
		if !strings.Contains(out, want) {
			t.Errorf("no %q in\n%s", want, out)
		}
	}
	leat("", "plan", "--mib-per-second", "1", "--retention", "1h").refused(t, exitFailed, "retention")
	leat("", "plan").refused(t, exitUsage, "mib-per-second")
}
