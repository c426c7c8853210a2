// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"time"

	"github.com/leatstream/leat/internal/testproc"
)

// options are the flags.
type options struct {
	leat, redis, nats string // binaries
	only              string
	output            string
	rounds            int
	atMost            time.Duration
	short, noise      bool
	lanes, conns      int
	batches           int
	seed              uint64
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := start(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	if err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "bench-peers:", err)
		os.Exit(1)
	}
}

func (o *options) parse(args []string, errOut io.Writer) error {
	f := flag.NewFlagSet("bench-peers", flag.ContinueOnError)
	f.SetOutput(errOut)
	f.StringVar(&o.leat, "leat", "bin/leat", "Leat's `binary`")
	f.StringVar(&o.redis, "redis", "redis-server", "Redis's `binary`")
	f.StringVar(&o.nats, "nats", "nats-server", "NATS's `binary`")
	f.StringVar(&o.only, "only", "leat,redis,nats", "measure these alone; the first is compared with the others")
	f.StringVar(&o.output, "o", "table", "output: table or json")
	f.IntVar(&o.rounds, "rounds", 3, "rounds, 1 to 20")
	f.DurationVar(&o.atMost, "at-most", 3*time.Minute, "begin no round that would likely end later")
	f.BoolVar(&o.short, "short", false, "one round of a few seconds: whether it works, not how fast it is")
	f.BoolVar(&o.noise, "noise", false, "payloads that do not compress, instead of JSON log lines")
	f.IntVar(&o.lanes, "lanes", 4, "shards of the stream; streams of the peers")
	f.IntVar(&o.conns, "leat-connections", 1, "gRPC connections to Leat")
	f.IntVar(&o.batches, "batches", 200, "batches of 500 records in each measurement")
	f.Uint64Var(&o.seed, "seed", 1, "of the payloads")
	if err := f.Parse(args); err != nil {
		return err
	}
	switch {
	case f.NArg() > 0:
		return fmt.Errorf("unexpected argument %q", f.Arg(0))
	case o.rounds < 1 || o.rounds > 20:
		return errors.New("-rounds: give 1 to 20")
	case o.lanes < 1 || o.lanes > 64, o.conns < 1 || o.conns > 64:
		return errors.New("-lanes, -leat-connections: give 1 to 64")
	case o.batches < 1 || o.batches > 10_000:
		return errors.New("-batches: give 1 to 10000")
	case o.output != "table" && o.output != "json":
		return errors.New("-o: give table or json")
	}
	return nil
}

func (o *options) plan() plan {
	pl := plan{
		lanes: o.lanes, callers: 16, batch: 500, batches: o.batches, batchFor: 5 * time.Second,
		singles: 200_000, singleFor: 2 * time.Second, readFor: 20 * time.Second, warmups: 32, warmFor: 500 * time.Millisecond,
	}
	if o.short {
		o.rounds, pl.batches, pl.batchFor, pl.singleFor, pl.warmups = 1, min(pl.batches, 32), time.Second, 300*time.Millisecond, 8
	}
	return pl
}

// systems finds the binaries.
func (o *options) systems() ([]system, error) {
	var out []system
	for name := range strings.SplitSeq(o.only, ",") {
		made, ok := map[string]struct {
			path string
			make func(path string) system
		}{
			"leat":  {o.leat, func(p string) system { return newLeat(p, o.lanes, o.conns) }},
			"redis": {o.redis, func(p string) system { return newRedis(p, o.lanes) }},
			"nats":  {o.nats, func(p string) system { return newNATS(p, o.lanes) }},
		}[name]
		if !ok {
			return nil, fmt.Errorf("-only: %q is not leat, redis or nats", name)
		}
		path, err := exec.LookPath(made.path)
		if err != nil {
			return nil, err
		}
		if path, err = filepath.Abs(path); err != nil {
			return nil, err
		}
		out = append(out, made.make(path))
	}
	return out, nil
}

func start(ctx context.Context, args []string, out, errOut io.Writer) error {
	var o options
	if err := o.parse(args, errOut); err != nil {
		return err
	}
	pl := o.plan()
	systems, err := o.systems()
	if err != nil {
		return err
	}
	base, err := testproc.TempDir("leat-peers-")
	if err != nil {
		return err
	}
	r, err := measure(ctx, &o, pl, systems, base.Path, errOut)
	if err := errors.Join(err, base.Remove()); err != nil {
		return err
	}
	if o.output == "json" {
		return r.json(out)
	}
	return r.table(out)
}

// poolBytes is the size of the payloads together: more than any window of a compressor.
const poolBytes = 16 << 20

// measure goes through the proofs and the rounds, in folders under base.
func measure(ctx context.Context, o *options, pl plan, systems []system, base string, progress io.Writer) (*report, error) {
	if err := onDisk(base); err != nil {
		return nil, err
	}
	const size = 1024
	p := newPayloads(o.seed, poolBytes/size, size, o.noise)
	deflated, err := p.deflated()
	if err != nil {
		return nil, err
	}
	r := &report{Head: []string{
		fmt.Sprintf("%d cores, client and servers share them; %s; %s.", runtime.NumCPU(), runtime.Version(), time.Now().UTC().Format(time.DateOnly)),
		fmt.Sprintf("Payloads of %d bytes (seed %d) that deflate makes %.1f times smaller; %d lanes; batches of %d, %d in flight.", size, o.seed, deflated, pl.lanes, pl.batch, pl.callers),
	}}
	for _, s := range systems {
		r.Systems = append(r.Systems, s.Name())
		proof, err := prove(ctx, s, p, pl, base)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", s.Name(), err)
		}
		r.Head = append(r.Head, proof)
	}
	begun := time.Now()
	for n := range o.rounds {
		if n > 0 && time.Since(begun)*time.Duration(n+1)/time.Duration(n) > o.atMost {
			r.Head = append(r.Head, fmt.Sprintf("Only %d of %d rounds: the next one would have ended after %v.", n, o.rounds, o.atMost))
			break
		}
		if err := r.round(ctx, n, systems, p, pl, base, progress); err != nil {
			return nil, err
		}
	}
	return r, nil
}

// round measures every system once; each round begins with another one.
func (r *report) round(ctx context.Context, n int, systems []system, p *payloads, pl plan, base string, progress io.Writer) error {
	f, err := measureFloor(base, p, pl.batch, pl.singleFor/2)
	if err != nil {
		return err
	}
	r.Floors = append(r.Floors, f)
	results := make([]result, len(systems))
	for k := range systems {
		s := (k + n) % len(systems)
		begun := time.Now()
		if results[s], err = round(ctx, systems[s], p, pl, base); err != nil {
			return err
		}
		fmt.Fprintf(progress, "round %d: %s, %.1f s\n", n+1, systems[s].Name(), time.Since(begun).Seconds())
	}
	r.Rounds = append(r.Rounds, results)
	return nil
}

// prove asks a system for its settings and counts its syncs.
func prove(ctx context.Context, s system, p *payloads, pl plan, base string) (string, error) {
	dir := filepath.Join(base, s.Name()+"-proof")
	if err := s.Start(ctx, dir); err != nil {
		return "", err
	}
	settings, err := s.Proof(ctx)
	if err := errors.Join(err, s.Stop(ctx), os.RemoveAll(dir)); err != nil {
		return "", err
	}
	syncs, err := countSyncs(ctx, s, p, pl, base)
	if errors.Is(err, errNoTrace) {
		return settings + "; its syncs were not counted: " + errNoTrace.Error() + ".", nil
	}
	return fmt.Sprintf("%s; %d syncs for %d acknowledgements one after another.", settings, syncs, syncedSingles+syncedBatches), err
}
