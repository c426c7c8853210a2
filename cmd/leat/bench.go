// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/api/client"
	leatv1 "github.com/leatstream/leat/api/leat/v1"
)

// benchCmd is `leat bench`.
type benchCmd struct {
	Connection connection `embed:""`

	Modes       []string      `arg:"" optional:"" name:"mode" enum:"put,put-single,get,push" help:"What to measure: put (batches), put-single (one record a call), get (catch-up reads), push (from a put to its subscriber). All by default."`
	For         time.Duration `help:"How long each thing is measured, all rounds together." default:"9s" placeholder:"TIME"`
	Rounds      int           `help:"How often a thing and its floors are measured in turn; medians are told." default:"3" placeholder:"N"`
	WarmUp      time.Duration `help:"How long batches are put before anything is measured, so that the memory which the server fills first is not: a page that is touched for the first time can cost as much as the records in it." default:"5s" placeholder:"TIME"`
	RecordBytes int           `help:"Data of one record." default:"1024" placeholder:"BYTES"`
	Batch       int           `help:"Records of one PutRecords." default:"500" placeholder:"N"`
	InFlight    int           `help:"PutRecords calls at a time." default:"16" placeholder:"N"`
	Callers     []int         `help:"PutRecord calls at a time, for put-single." default:"1,64" placeholder:"N"`
	Shards      int32         `help:"Shards of the stream that is made for it." default:"4" placeholder:"N"`
	ReadMiB     int           `name:"read-mib" help:"How much is there to read, at least, for get." default:"64" placeholder:"N"`
	Dir         string        `help:"Folder of the fdatasync floor: give one on the server's disk. A temporary one by default." type:"existingdir" placeholder:"FOLDER"`
	Keep        bool          `help:"Keep the stream."`
	S3          s3Flags       `embed:"" prefix:"s3-" envprefix:"LEAT_BENCH_S3_"`
}

// Help is shown by `leat bench --help`.
func (*benchCmd) Help() string {
	return "Puts load on the server at --endpoint and, in turn with that, measures what this machine can do at best: the same bytes appended to a file with fdatasync, the same messages through a bare gRPC server, and with --s3-endpoint PUTs of 4 MiB. The ratio to these says more than the figures, which move with the machine. Without --endpoint it starts a server of its own in a temporary folder."
}

// localServer starts a server in this process on a folder, and returns its gRPC address and what stops it.
type localServer func(ctx context.Context, dir string) (endpoint string, stop func() error, err error)

// bench is one run.
type bench struct {
	*benchCmd
	cl     *client.Client
	stream string
	echo   *echoServer
	random *rand.Rand
	dir    string // of the fdatasync floor
	keys   []string
	data   [][]byte
}

// Run measures.
func (cmd *benchCmd) Run(ctx context.Context, c *connection, t *terminal, random *rand.Rand, local localServer) (err error) {
	if err := cmd.check(); err != nil {
		return err
	}
	dir, err := os.MkdirTemp(cmd.Dir, "leat-bench-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	if c.Endpoint == "" {
		endpoint, stop, err := local(ctx, dir)
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, stop()) }()
		c.Endpoint = endpoint
		say(t.err, "measuring a server of its own at %s, in %s", endpoint, dir)
	}
	cl, err := c.dial(ctx)
	if err != nil {
		return err
	}
	defer cl.Close()
	b := &bench{benchCmd: cmd, cl: cl, stream: fmt.Sprintf("leat-bench-%08x", random.Uint32()), random: random, dir: dir}
	if err := b.prepare(ctx); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, b.clean(ctx, t)) }()
	return b.run(ctx, c, t)
}

// check refuses what cannot be measured.
func (cmd *benchCmd) check() error {
	var errs []error
	check := func(ok bool, flag, why string) {
		if !ok {
			errs = append(errs, leat.Invalid(flag, "--%s must be %s", flag, why))
		}
	}
	check(cmd.For > 0, "for", "above 0")
	check(cmd.WarmUp >= 0, "warm-up", "0 or above")
	check(cmd.Rounds > 0 && cmd.Rounds <= 100, "rounds", "from 1 to 100")
	check(cmd.RecordBytes >= 16 && cmd.RecordBytes <= leat.DefaultMaxRecordBytes-64, "record-bytes", "from 16 to 1048512")
	check(cmd.Batch > 0 && cmd.Batch <= leat.MaxPutRecords, "batch", "from 1 to 500")
	check(cmd.Batch*(cmd.RecordBytes+16) <= leat.MaxPutRecordsBytes, "batch", "small enough for 10 MiB a call")
	check(cmd.InFlight > 0 && cmd.InFlight <= 4096, "in-flight", "from 1 to 4096")
	check(cmd.Shards > 0 && cmd.Shards <= 10_000, "shards", "from 1 to 10000")
	check(len(cmd.Callers) > 0 && slices.Min(cmd.Callers) > 0 && slices.Max(cmd.Callers) <= 4096, "callers", "from 1 to 4096")
	return errors.Join(errs...)
}

// prepare makes the stream, the records and the bare gRPC server.
func (b *bench) prepare(ctx context.Context) (err error) {
	const distinct = 1024
	b.keys, b.data = make([]string, distinct), make([][]byte, distinct)
	for i := range b.keys {
		b.keys[i] = fmt.Sprintf("%016x", b.random.Uint64())
		b.data[i] = make([]byte, b.RecordBytes)
		for j := range b.data[i] {
			b.data[i][j] = byte(b.random.Uint32()) // nothing to compress: what is measured is the worst case
		}
	}
	if b.echo, err = startEcho(b); err != nil {
		return err
	}
	_, err = b.cl.Streams.CreateStream(ctx, &leatv1.CreateStreamRequest{Stream: b.stream, ShardCount: b.Shards})
	if err == nil {
		_, err = (&waitFlags{WaitFor: time.Minute}).active(ctx, b.cl, b.stream)
	}
	if err != nil {
		return errors.Join(err, b.echo.stop())
	}
	return nil
}

// clean deletes the stream and stops the bare server.
func (b *bench) clean(ctx context.Context, t *terminal) error {
	err := b.echo.stop()
	if b.Keep {
		say(t.err, "stream %s is kept", b.stream)
		return err
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), callWithin)
	defer cancel()
	_, deleteErr := b.cl.Streams.DeleteStream(ctx, &leatv1.DeleteStreamRequest{Stream: b.stream, EnforceConsumerDeletion: true})
	if deleteErr == nil {
		deleteErr = (&streamDeleteCmd{Name: b.stream, WaitFor: callWithin}).gone(ctx, b.cl)
	}
	return errors.Join(err, deleteErr)
}

// run takes the steps one after the other and prints what they found.
func (b *bench) run(ctx context.Context, c *connection, t *terminal) error {
	steps, err := b.steps()
	if err != nil {
		return err
	}
	if err := b.warmUp(ctx); err != nil {
		return fmt.Errorf("warm-up: %w", err)
	}
	return b.take(ctx, steps, c, t)
}

// take prints what the steps before a failure found too.
func (b *bench) take(ctx context.Context, steps []*step, c *connection, t *terminal) (err error) {
	p := newPrinter(t.out, c.Output, "MEASURED", "LEAT", "BESIDE", "THAT", "RATIO")
	defer func() { err = errors.Join(err, p.Flush()) }()
	for _, s := range steps {
		if !c.quietOutput() {
			say(t.err, "%s: %s", s.mode, s.about)
		}
		m, err := s.measure(ctx, b.Rounds, b.For/time.Duration(b.Rounds))
		if err != nil {
			return fmt.Errorf("%s: %w", s.mode, err)
		}
		for _, r := range s.results(m) {
			floor := ""
			if r.FloorName != "" {
				floor = figure(r.Floor, r.Unit)
			}
			if err := p.Row(r, r.Name, figure(r.Value, r.Unit), r.FloorName, floor, ratio(r.Ratio)); err != nil {
				return err
			}
		}
	}
	return nil
}

// quietOutput tells whether a program reads the output.
func (c *connection) quietOutput() bool { return c.Output == formatJSON }

// steps are what the modes ask for, puts first so that there is something to read.
func (b *bench) steps() ([]*step, error) {
	wanted := func(mode string) bool { return len(b.Modes) == 0 || slices.Contains(b.Modes, mode) }
	var steps []*step
	if wanted("put") {
		s, err := b.putStep()
		if err != nil {
			return nil, err
		}
		steps = append(steps, s)
	}
	if wanted("put-single") {
		steps = append(steps, b.singleStep())
	}
	if wanted("get") {
		steps = append(steps, b.getStep())
	}
	if wanted("push") {
		steps = append(steps, b.pushStep())
	}
	return steps, nil
}

// figure writes a measured value with its unit.
func figure(v float64, unit string) string {
	switch {
	case unit == "ms":
		return fmt.Sprintf("%.3f ms", v)
	case v >= 1000:
		return count(int64(v)) + " " + unit
	}
	return strings.TrimSuffix(strings.TrimRight(fmt.Sprintf("%.1f", v), "0"), ".") + " " + unit
}

func ratio(v float64) string {
	if v == 0 {
		return ""
	}
	return fmt.Sprintf("%.2f", v)
}
