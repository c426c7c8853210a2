// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package shardstore_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/shardstore"
	"github.com/leatstream/leat/shardstore/blob/fault"
)

// An owner that is cut off from the store serves no read after its lease has run out, whatever it still has in memory;
// its successor, which waits for L after the fence, acks nothing before (rule 13, I13). The wait is server/cluster's and
// played here.
func TestReadLease(t *testing.T) {
	for _, cut := range []string{"hangs", "refuses", "answers late"} {
		t.Run(cut, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				const lease = 1500 * time.Millisecond
				r := newRig(t).shards(1)
				r.log.Lease = lease
				bucket, driver := r.blobs, r.driver
				f := r.faulty()
				old := r.open()
				r.put(0, "before")
				read := func(ctx context.Context) error {
					_, err := old.Read(ctx, r.key(0), 0, shardstore.ReadLimits{Records: 1, Bytes: 100})
					return err
				}
				if err := read(t.Context()); err != nil {
					t.Fatalf("before the cut: %v", err)
				}
				var hung *fault.Gate
				switch cut {
				case "hangs":
					hung = fault.NewGate()
					f.SetHook(fault.Always(fault.Fault{Wait: hung.Wait}))
				case "refuses":
					f.SetHook(fault.Always(fault.Fault{Kind: fault.Refuse}))
				case "answers late": // what it says was so when it was asked, longer ago than L
					f.SetHook(fault.Always(fault.Fault{Hold: func(ctx context.Context) error { return wait(ctx, 2*lease) }}))
				}
				ended := time.Now().Add(lease)

				// Readers never stop asking.
				ctx, stop := context.WithCancel(t.Context())
				served := make(chan time.Time, 10_000)
				for range 3 {
					go func() {
						for ctx.Err() == nil {
							began := time.Now()
							limited, cancel := context.WithTimeout(ctx, 10*time.Second)
							if err := read(limited); err == nil {
								served <- began
							}
							cancel()
							pause(10 * time.Millisecond)
						}
					}()
				}

				// The successor, whose way to the store is free.
				r.blobs, r.driver = bucket, driver
				pause(100 * time.Millisecond)
				if err := r.recover(); err != nil {
					t.Fatal(err)
				}
				fenced := time.Now()
				pause(lease - time.Since(fenced))
				successor := r.open()
				r.put(0, "after")
				acked := time.Now()
				pause(30 * time.Second)
				stop()
				synctest.Wait()
				close(served)
				n, last := 0, time.Time{}
				for at := range served {
					n++
					if at.After(last) {
						last = at
					}
				}
				if n == 0 || last.After(ended) || !last.Before(acked) {
					t.Errorf("%d reads were served, the last at %v; the lease ended at %v and the successor acked at %v", n, last, ended, acked)
				}
				if hung != nil {
					hung.Open()
				}
				f.SetHook(nil)
				pause(time.Minute)
				if err := read(t.Context()); leat.KindOf(err) != leat.KindUnavailable {
					t.Errorf("the old owner after its return: %v", err)
				}
				if err := old.Append(t.Context(), []shardstore.Put{put(r.key(0), "zombie")}); err == nil {
					t.Error("the old owner took a put")
				}
				<-old.Done()
				r.store = successor
				r.wantAll(0, []string{"before", "after"})
			})
		})
	}
}

// An idle owner pays for its lease only while somebody reads.
func TestIdleOwnerReads(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t).shards(1)
		r.log.Lease = time.Second
		f := r.faulty()
		r.open()
		r.put(0, "x")
		pause(2 * time.Hour) // until it is packed and its segments are deleted
		before := f.Counts().Reads
		pause(10 * time.Hour)
		if n := f.Counts().Reads - before; n != 0 {
			t.Errorf("%d reads of the store while nobody read", n)
		}
		r.wantAll(0, []string{"x"})
		r.wantAll(0, []string{"x"})
		if n := f.Counts().Reads - before; n != 1 {
			t.Errorf("%d reads of the store for two reads at one time", n)
		}
	})
}

// A drained session serves no read once its successor may begin: from before CLOSE is durable (rule 13).
func TestReadsStopBeforeClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t).shards(1)
		f := r.faulty()
		s := r.open()
		r.put(0, "x")
		if err := s.Pack(t.Context()); err != nil {
			t.Fatal(err)
		}
		hung := fault.NewGate()
		f.SetHook(fault.Always(fault.Fault{Hold: hung.Wait}, fault.Create))
		done := make(chan error)
		go func() { done <- s.Close(t.Context()) }()
		<-hung.Arrived() // CLOSE may be durable
		_, err := s.Read(t.Context(), r.key(0), 0, shardstore.ReadLimits{Records: 1, Bytes: 1})
		if leat.KindOf(err) != leat.KindUnavailable {
			t.Errorf("a read while CLOSE is on its way: %v", err)
		}
		hung.Open()
		if err := <-done; err != nil {
			t.Fatal(err)
		}
	})
}

// A node that restarts often does not leave an extent for each of its lives.
func TestMergesAcrossEpochs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t).shards(1)
		var want []string
		for life := range 60 {
			s := r.open()
			want = append(want, fmt.Sprint(life))
			r.put(0, fmt.Sprint(life))
			if err := errors.Join(s.Pack(t.Context()), s.Housekeep(t.Context())); err != nil {
				t.Fatal(err)
			}
			r.kill()
			if err := r.recover(); err != nil {
				t.Fatal(err)
			}
		}
		r.open()
		if n := len(r.index.shards[r.key(0)].extents); n > 20 {
			t.Errorf("%d extents after 60 lives", n)
		}
		r.wantAll(0, want)
		r.fsck()
	})
}

// wait waits unless ctx ends before.
func wait(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
