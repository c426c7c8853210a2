// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package delivery_test

import (
	"context"
	"crypto/rand"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/internal/sqldb"
	"github.com/leatstream/leat/server/broker"
	"github.com/leatstream/leat/server/delivery"
	"github.com/leatstream/leat/server/delivery/spec"
)

// another is the engine of another node, which takes calls and delivers nothing.
func (r *rig) another(change func(*delivery.Config)) *delivery.Engine {
	r.t.Helper()
	c := r.config
	change(&c)
	e, err := delivery.New(c)
	r.must(err)
	return e
}

// identities are random, and run something before the first of them is there.
type identities struct {
	once   sync.Once
	before func()
}

func (i *identities) Read(b []byte) (int, error) {
	i.once.Do(i.before)
	return rand.Read(b)
}

func (r *rig) direct() spec.Config {
	c := r.toBucket("")
	c.Defaults()
	return c
}

// putDirectly puts a record into a delivery stream as soon as that takes some.
func (r *rig) putDirectly(name, record string) {
	r.t.Helper()
	r.until("a direct put is taken", func() bool {
		res, err := r.broker.PutDeliveryRecords(r.t.Context(), who, broker.PutDeliveryRecordsRequest{Delivery: name, Records: [][]byte{[]byte(record)}})
		return err == nil && res[0].Err == nil
	})
}

// hiddenStream is the stream of direct puts; KindNotFound when there is none.
func (r *rig) hiddenStream(name string) (leat.Stream, error) {
	return r.cat.StreamByName(r.t.Context(), spec.HiddenAccount(account), name)
}

// A call that makes a delivery stream is asked twice, as an SDK does whose first answer is late. The later one finds the
// hidden stream of the first, and records in it that were acknowledged.
func TestCreatedTwiceAtOnce(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	late := r.another(func(c *delivery.Config) {
		c.Rand = &identities{before: func() {
			_, err := r.engine.Create(t.Context(), account, "d", r.direct(), nil)
			r.must(err)
			r.putDirectly("d", "acknowledged")
			r.clock.by.Add(int64(time.Hour)) // however long it takes
		}}
	})
	if _, err := late.Create(t.Context(), account, "d", r.direct(), nil); leat.KindOf(err) != leat.KindInUse {
		t.Errorf("the later call: %v", err)
	}
	if s, err := r.hiddenStream("d"); err != nil || s.Status == leat.StreamDeleting {
		t.Fatalf("the hidden stream of the first call is %s, %v", s.Status, err)
	}
	r.settled("d", 1)
	r.once(r.lines("data/"), []string{"acknowledged"})
}

// While one call has made the hidden stream and not the delivery stream yet, another one leaves it alone, unless that takes so
// long that the first must have died. If it has not, it makes no delivery stream without a stream.
func TestCreatedWhileAnotherMakesIt(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name  string
		takes time.Duration
		kind  leat.Kind
	}{{"soon", 0, 0}, {"late", time.Hour, leat.KindUnavailable}} {
		t.Run(c.name, func(t *testing.T) {
			r := newRig(t)
			var once sync.Once
			first := r.another(func(cfg *delivery.Config) {
				kick := cfg.Kick
				cfg.Kick = func() { // the hidden stream is there
					kick()
					once.Do(func() {
						r.clock.by.Add(int64(c.takes))
						if _, err := r.engine.Create(t.Context(), account, "d", r.direct(), nil); leat.KindOf(err) != leat.KindUnavailable {
							t.Errorf("the other call: %v", err)
						}
					})
				}
			})
			_, err := first.Create(t.Context(), account, "d", r.direct(), nil)
			if c.kind == 0 && err != nil || c.kind != 0 && leat.KindOf(err) != c.kind {
				t.Fatalf("the first call: %v", err)
			}
			if c.kind != 0 {
				r.until("it can be made again", func() bool {
					_, err := r.engine.Create(t.Context(), account, "d", r.direct(), nil)
					return err == nil
				})
			}
			r.putDirectly("d", "acknowledged")
			r.settled("d", 1)
			r.once(r.lines("data/"), []string{"acknowledged"})
		})
	}
}

// A call that made the hidden stream, and then finds that the name was taken by a delivery of a stream, leaves nothing that
// would take records nobody delivers.
func TestCreationThatFailsLeavesNothing(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.stream("s", 1)
	var once sync.Once
	late := r.another(func(c *delivery.Config) {
		kick := c.Kick
		c.Kick = func() {
			kick()
			once.Do(func() { r.deliver("d", r.toBucket("s")) })
		}
	})
	if _, err := late.Create(t.Context(), account, "d", r.direct(), nil); leat.KindOf(err) != leat.KindInUse {
		t.Errorf("the later call: %v", err)
	}
	if s, err := r.hiddenStream("d"); err == nil && s.Status != leat.StreamDeleting {
		t.Errorf("a hidden stream is left, and is %s", s.Status)
	}
	if _, err := r.engine.Describe(t.Context(), account, "d"); err != nil {
		t.Error(err)
	}
}

// leaving is the directory of a node, whose caller goes away when it is told of a change.
type leaving struct {
	delivery.Directory
	leave func()
}

func (l leaving) Changed(ctx context.Context) {
	l.leave()
	l.Directory.Changed(ctx)
}

// Who deletes a delivery stream may be gone before that is done: it is done all the same.
func TestDeletedThoughTheCallerIsGone(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.deliver("d", r.direct())
	ctx, leave := context.WithCancel(t.Context())
	other := r.another(func(c *delivery.Config) { c.Directory = leaving{c.Directory, leave} })
	r.must(other.Delete(ctx, account, "d"))
	if all, err := r.engine.List(t.Context(), account, "", 10); err != nil || len(all) != 0 {
		t.Errorf("delivery streams: %v, %v", all, err)
	}
	if ctx.Err() == nil {
		t.Error("the caller is still there")
	}
}

// A node dies in the middle of a deletion. Another one does the rest.
func TestDeletionThatDied(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.deliver("d", r.direct())
	r.must(r.db.Tx(t.Context(), func(tx *sqldb.Tx) error {
		_, err := tx.Exec("UPDATE deliveries SET state = 'DELETING'")
		return err
	}))
	r.clock.by.Add(int64(2 * time.Minute))
	r.until("it is deleted, and so is its stream", func() bool {
		all, err := r.engine.List(t.Context(), account, "", 10)
		r.must(err)
		s, err := r.hiddenStream("d")
		return len(all) == 0 && (err != nil || s.Status == leat.StreamDeleting)
	})
}

// Of two calls that delete a delivery stream one waits for its workers, while the other is done and the name is used again.
// The one that waited deletes nothing of the new delivery stream.
func TestDeletedTwiceAndMadeAgain(t *testing.T) {
	t.Parallel()
	waits, free := make(chan struct{}), make(chan struct{})
	var once, freed sync.Once
	let := func() { freed.Do(func() { close(free) }) }
	r := newRig(t, func(c *delivery.Config) {
		c.Fault = func(s delivery.Step, _ string) (err error) {
			once.Do(func() {
				close(waits)
				<-free
				err = errors.New("the worker is stopped")
			})
			return err
		}
	})
	t.Cleanup(let) // before the engine ends
	r.deliver("d", r.direct())
	r.putDirectly("d", "old")
	<-waits
	slow := make(chan error, 1)
	go func() { slow <- r.engine.Delete(context.WithoutCancel(t.Context()), account, "d") }()
	r.until("it is being deleted", func() bool {
		d, err := r.engine.Describe(t.Context(), account, "d")
		return err == nil && d.State == spec.Deleting
	})
	other := r.another(func(*delivery.Config) {})
	r.must(other.Delete(t.Context(), account, "d"))
	r.until("it can be made again", func() bool {
		_, err := other.Create(t.Context(), account, "d", r.direct(), nil)
		return err == nil
	})
	r.putDirectly("d", "new")
	select {
	case err := <-slow:
		t.Fatalf("the call did not wait: %v", err)
	default:
	}
	let()
	r.must(<-slow)
	if s, err := r.hiddenStream("d"); err != nil || s.Status == leat.StreamDeleting {
		t.Fatalf("the hidden stream of the new delivery stream is %s, %v", s.Status, err)
	}
	r.settled("d", 1)
	if got := r.lines("data/"); got["new"] != 1 {
		t.Errorf("delivered: %v", got)
	}
}
