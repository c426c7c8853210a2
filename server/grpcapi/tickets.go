// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package grpcapi

import (
	"strconv"
	"sync"
	"sync/atomic"

	"github.com/leatstream/leat"
)

// tickets tell the server inside who makes a request of the gateway's, which signs callers in itself, before their bodies are read. The zero value is ready.
type tickets struct {
	last  atomic.Uint64
	valid sync.Map // of a ticket to its leat.Principal
}

// issue makes a ticket, which holds until it is taken back.
func (t *tickets) issue(who leat.Principal) string {
	ticket := strconv.FormatUint(t.last.Add(1), 10)
	t.valid.Store(ticket, who)
	return ticket
}

func (t *tickets) takeBack(ticket string) { t.valid.Delete(ticket) }

// who returns whose a ticket is.
func (t *tickets) who(ticket string) (leat.Principal, error) {
	if who, ok := t.valid.Load(ticket); ok {
		return who.(leat.Principal), nil //nolint:forcetypeassert // issue puts nothing else there
	}
	return leat.Principal{}, leat.Errorf(leat.KindInternal, "the gateway's call has no ticket")
}
