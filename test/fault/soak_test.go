// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package fault

import (
	"context"
	"fmt"
	"io/fs"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	leatv1 "github.com/leatstream/leat/api/leat/v1"
	"github.com/leatstream/leat/internal/s3test"
	"github.com/leatstream/leat/test/e2e/rig"
)

// drainWithin is how long a node may take to end after SIGTERM: what deploy/ gives it before it is killed.
const drainWithin = 30 * time.Second

// warmUp of a short run: connections are made, pools are filled, the first packs written.
const warmUp = 10 * time.Second

// shortSoak is how long the short form runs after that.
const shortSoak = 30 * time.Second

// shortSamples is how many samples of each node the short form takes at least.
const shortSamples = 12

// soakFor is how long a soak runs (LEAT_SOAK_FOR); short when nothing is said.
func soakFor(t *testing.T) (d time.Duration, short bool) {
	t.Helper()
	s := os.Getenv("LEAT_SOAK_FOR")
	if s == "" {
		return shortSoak, true
	}
	d, err := time.ParseDuration(s)
	if err != nil || d < time.Minute {
		t.Fatalf("LEAT_SOAK_FOR=%q: give a minute or more, such as 30m", s)
	}
	return d, false
}

// Processes under steady load stay as they are: memory, file descriptors, goroutines. Nothing else runs meanwhile.
func TestSoak(t *testing.T) {
	t.Run("cluster", soakCluster)
	t.Run("dev", soakDev)
}

// soakArgs: recent records fill what memory they are given before the second half of a run begins.
var soakArgs = []string{"--pack-every", "5s", "--memory-mib", "16"}

// soakCluster: three nodes on PostgreSQL and S3.
func soakCluster(t *testing.T) {
	t.Parallel()
	b := rig.NewBackend(t)
	c := rig.NewCluster(t, b, 3, append([]string{"--shard-limits", "off"}, soakArgs...)...)
	c.Start(t)
	s := newSoak(t, c.Nodes, func() rig.Fsck { return billed(t, b.Verify(t), b.Check(t)) })
	s.shared = true
	s.deliver(&leatv1.DeliveryS3{Bucket: b.S3.Bucket(t)}) // by the server's own credentials
	s.sampler.Stored = func(ctx context.Context) (map[string]int, error) {
		all, err := rowsOf(ctx, b.DSN)
		if err == nil {
			err = objectsIn(b.S3.Folder(b.Bucket), all)
		}
		return all, err
	}
	s.run()
}

// soakDev: one process and one folder.
func soakDev(t *testing.T) {
	if _, short := soakFor(t); short {
		t.Skip("make soak runs it")
	}
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "data")
	n := rig.Dev(t, "dev", dir, soakArgs...)
	n.Start(t)
	s := newSoak(t, []*rig.Node{n}, func() rig.Fsck { return billed(t, rig.VerifyDev(t, dir), rig.CheckDev(t, dir)) })
	to := s3test.Start(t)
	s.deliver(&leatv1.DeliveryS3{Bucket: to.Bucket(t), Endpoint: "http://" + to.Endpoint, Region: to.Region, AccessKey: to.AccessKey, SecretKey: to.SecretKey})
	s.run()
}

// soak is a world in which nothing goes wrong.
type soak struct {
	*world
	sampler *Sampler
	viewer  *Viewer
	long    time.Duration
	short   bool
}

func newSoak(t *testing.T, nodes []*rig.Node, check func() rig.Fsck) *soak {
	t.Helper()
	s := &soak{}
	s.long, s.short = soakFor(t)
	s.world = newWorld(t, nodes, nil, check, func(w *world) {
		w.load.PutEvery = 100 * time.Millisecond
		w.tail.Every = max(250*time.Millisecond, s.long/1500)
		w.shards.Every = 10 * time.Second
	})
	every := max(time.Second, s.long/240)
	s.sampler = &Sampler{Nodes: nodes, Token: nodes[0].Token, Every: every}
	s.viewer = &Viewer{Stream: mainStream, Nodes: nodes, Token: nodes[0].Token, Every: 400 * time.Millisecond, Client: signedIn(t, nodes[0]), Broken: func(format string, args ...any) { t.Errorf(format, args...) }}
	return s
}

// signedIn is a client that is in the console, with a cookie that all nodes take.
func signedIn(t *testing.T, n *rig.Node) *http.Client {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	c := &http.Client{Jar: jar}
	if n.Token == "" {
		return c
	}
	res, err := c.PostForm("http://"+n.HTTP+"/console/signin", url.Values{"bearer": {n.Token}})
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK || strings.Contains(res.Request.URL.Path, "signin") {
		t.Fatalf("signing in leads to %s: %s", res.Request.URL, res.Status)
	}
	return c
}

// deliver begins a delivery of the load to a bucket.
func (s *soak) deliver(to *leatv1.DeliveryS3) {
	t := s.t
	t.Helper()
	config := &leatv1.DeliveryConfig{
		Source: &leatv1.DeliverySource{Stream: mainStream}, Buffer: &leatv1.DeliveryBuffer{Bytes: 1 << 20, Seconds: 5},
		Format:      &leatv1.DeliveryFormat{Kind: leatv1.DeliveryFormatKind_DELIVERY_FORMAT_KIND_DELIMITED},
		Compression: leatv1.DeliveryCompression_DELIVERY_COMPRESSION_GZIP, Naming: &leatv1.DeliveryNaming{Prefix: "load/"}, S3: to,
	}
	if _, err := s.nodes[0].Dial(t).Delivery.CreateDelivery(t.Context(), &leatv1.CreateDeliveryRequest{Delivery: "lake", Config: config}); err != nil {
		t.Fatal(err)
	}
}

// run lets the load go on, judges, and ends every node under it.
func (s *soak) run() {
	t := s.t
	t.Helper()
	s.progress("at the start", 100, rig.Patience)
	sampling, stop := context.WithCancel(t.Context())
	defer stop()
	var all sync.WaitGroup
	all.Go(func() { s.viewer.Run(sampling) })
	s.hold(warmUp)
	all.Go(func() { s.sampler.Run(sampling) })
	s.hold(s.long)
	if s.short {
		rig.Eventually(t, rig.Patience, "there are samples to judge by", func() error {
			if n := s.sampler.Least(); n < shortSamples {
				return fmt.Errorf("%d of %d", n, shortSamples)
			}
			return nil
		})
	}
	stop()
	all.Wait()
	s.sampler.Judge(t, s.short)
	s.sound()
	if s.viewer.Pages < 20 {
		t.Errorf("%d pages were asked for: too few to say anything", s.viewer.Pages)
	}
	t.Logf("%d pages of the console and the REST API were read", s.viewer.Pages)
	s.terms()
	s.finish()
}

// terms ends the nodes with SIGTERM under load, one after the other and then all at once. Each must drain within the deadline; that nothing
// that was acknowledged is lost, finish tells.
func (s *soak) terms() {
	t := s.t
	t.Helper()
	s.everyTerm(s.nodes[:1])
	if len(s.nodes) > 1 {
		s.everyTerm(s.nodes)
	}
}

func (s *soak) everyTerm(nodes []*rig.Node) {
	t := s.t
	t.Helper()
	began := time.Now()
	for _, n := range nodes {
		n.Term(t)
	}
	for _, n := range nodes {
		if err := n.Exit(t); err != nil {
			t.Errorf("%s: after SIGTERM: %v\n%s", n.Name, err, n.Log())
		}
		took := time.Since(began)
		t.Logf("%s drained in %v", n.Name, took.Round(10*time.Millisecond))
		if took > drainWithin {
			t.Errorf("%s took %v to drain, which may be %v", n.Name, took, drainWithin)
		}
	}
	for _, n := range nodes {
		n.Launch(t)
	}
	for _, n := range nodes {
		n.Await(t)
	}
	s.progress("after SIGTERM", 100, rig.Patience)
}

// rowsOf counts the rows of all tables.
func rowsOf(ctx context.Context, dsn string) (map[string]int, error) {
	ctx, cancel := context.WithTimeout(ctx, rig.Patience)
	defer cancel()
	conn, err := pgx.Connect(ctx, dsn)
	if err != nil {
		return nil, err
	}
	defer func() { _ = conn.Close(ctx) }()
	rows, err := conn.Query(ctx, "SELECT tablename::text FROM pg_tables WHERE schemaname = current_schema() AND tablename NOT LIKE '%_version'")
	if err != nil {
		return nil, err
	}
	tables, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return nil, err
	}
	all := map[string]int{}
	for _, table := range tables {
		var n int
		if err := conn.QueryRow(ctx, "SELECT count(*) FROM "+pgx.Identifier{table}.Sanitize()).Scan(&n); err != nil {
			return nil, err
		}
		if n > 1 {
			all[table] = n
		}
	}
	return all, nil
}

// objectsIn counts objects by the first part of their keys: each is a folder of the S3 server.
func objectsIn(bucket string, all map[string]int) error {
	return filepath.WalkDir(bucket, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			if os.IsNotExist(err) {
				return nil // it went meanwhile
			}
			return err
		}
		if d.Name() == "xl.meta" {
			rel, err := filepath.Rel(bucket, path)
			if err != nil {
				return err
			}
			all[fmt.Sprintf("%s/…", strings.SplitN(rel, string(filepath.Separator), 2)[0])]++
		}
		return nil
	})
}
