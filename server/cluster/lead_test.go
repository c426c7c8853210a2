// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/server/catalog"
)

// A stream that stays DELETING for longer than sessions should take says which of them keep it.
func TestLeaderSaysWhoKeepsADeletedStream(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := &Node{cfg: Config{Clock: leat.SystemClock{}, Heartbeat: time.Second, Transition: time.Second}}
		l := &leader{m: &member{n: n}}
		dead := leat.NewID[leat.SessionID](nil)
		p := &catalog.Pulse{Peers: []catalog.Peer{
			{ID: leat.NewID[leat.SessionID](nil), Node: "well", State: catalog.SessionLive, Report: catalog.Report{Revision: 7}},
			{ID: dead, Node: "lost", State: catalog.SessionFencing, Report: catalog.Report{Revision: 6}},
		}}
		st := &catalog.Unsettled{Stream: leat.Stream{Status: leat.StreamDeleting, Version: 7}, Since: time.Now()}
		if did, err := l.step(t.Context(), p, st); did || err != nil {
			t.Errorf("at once: %t, %v", did, err)
		}
		<-time.After(30 * time.Second)
		did, err := l.step(t.Context(), p, st)
		if did || err == nil || !strings.Contains(err.Error(), dead.String()) || strings.Contains(err.Error(), "well") {
			t.Errorf("after half a minute: %t, %v", did, err)
		}
	})
}
