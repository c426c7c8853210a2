// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package doctor

import (
	"context"
	"encoding/pem"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/leatstream/leat/internal/pgtest"
	"github.com/leatstream/leat/internal/s3test"
	"github.com/leatstream/leat/shardstore/blob"
	"github.com/leatstream/leat/shardstore/blob/mem"
	"github.com/leatstream/leat/shardstore/blob/s3"
)

func run(t *testing.T, o Options) (found map[string]Finding, healthy bool) {
	t.Helper()
	found = map[string]Finding{}
	healthy = Run(t.Context(), o, func(f Finding) {
		t.Log(f)
		found[f.Check] = f
		if (f.Grade == OK) == (f.Do != "") {
			t.Errorf("%+v: what is not well has a remedy, what is well has none", f)
		}
	})
	return found, healthy
}

func (f Finding) is(t *testing.T, grade Grade, words string) {
	t.Helper()
	if f.Grade != grade || !strings.Contains(f.Found, words) {
		t.Errorf("%+v: want %s with %q", f, grade, words)
	}
}

func TestRealEnginesAreWell(t *testing.T) {
	srv := s3test.Start(t)
	o := s3.Options{Endpoint: "http://" + srv.Endpoint, Bucket: srv.Bucket(t), Region: srv.Region, AccessKey: srv.AccessKey, SecretKey: srv.SecretKey}
	found, _ := run(t, Options{Postgres: pgtest.Database(t), Buckets: []s3.Options{o}, DataDir: t.TempDir()})
	for _, check := range []string{"postgres version", "postgres clock", "bucket", "bucket lifecycle", "bucket conditional PUT", "bucket consistency", "bucket clock"} {
		if found[check].Grade != OK {
			t.Errorf("%s: %+v", check, found[check])
		}
	}
	// pgtest's cluster does not sync, for speed: a good doctor says so.
	found["postgres fsync"].is(t, Bad, "off")
	if found["disk fsync"].Found == "" || found["bucket PUT latency"].Found == "" {
		t.Errorf("%+v", found)
	}
	s, err := s3.Open(o)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if left, err := s.List(t.Context(), "", "", 0); err != nil || len(left) > 0 {
		t.Errorf("the doctor leaves %v (%v)", left, err)
	}
}

func TestWhatIsAwayIsBad(t *testing.T) {
	found, healthy := run(t, Options{
		Postgres: "postgres://leat@127.0.0.1:1/leat?connect_timeout=1", HTTP: "http://127.0.0.1:1",
		Buckets: []s3.Options{{Endpoint: "http://127.0.0.1:1", Bucket: "leat", AccessKey: "a", SecretKey: "b"}},
		DataDir: filepath.Join(t.TempDir(), "none"),
	})
	if healthy {
		t.Error("healthy")
	}
	for _, check := range []string{"postgres", "bucket", "server"} {
		found[check].is(t, Bad, "")
	}
}

// Who was told of the database alone says that the bucket was not looked at, and the other way round.
func TestWhatWasNotLookedAt(t *testing.T) {
	found, _ := run(t, Options{Postgres: "postgres://leat@127.0.0.1:1/leat?connect_timeout=1"})
	found["bucket"].is(t, Skip, "not looked at")
	found, _ = run(t, Options{Buckets: []s3.Options{{Endpoint: "http://127.0.0.1:1", Bucket: "leat", AccessKey: "a", SecretKey: "b"}}})
	found["postgres"].is(t, Skip, "not looked at")
}

func TestSettings(t *testing.T) {
	good := map[string]string{"server_version_num": "170006", "server_version": "17.6", "fsync": "on", "full_page_writes": "on", "synchronous_commit": "on", "max_connections": "100", "default_transaction_read_only": "off", "server_encoding": "UTF8"}
	for _, f := range judgeSettings(good, 4) {
		f.is(t, OK, "")
	}
	for name, c := range map[string]struct {
		value string
		want  Grade
	}{
		"fsync": {"off", Bad}, "synchronous_commit": {"off", Bad}, "full_page_writes": {"off", Bad}, "server_version_num": {"130001", Warn},
		"max_connections": {"20", Warn}, "default_transaction_read_only": {"on", Bad}, "server_encoding": {"SQL_ASCII", Bad},
	} {
		s := map[string]string{}
		for k, v := range good {
			s[k] = v
		}
		s[name] = c.value
		worse := 0
		for _, f := range judgeSettings(s, 0) {
			if f.Grade != OK {
				worse++
				f.is(t, c.want, "")
			}
		}
		if worse != 1 {
			t.Errorf("%s = %s: %d findings", name, c.value, worse)
		}
	}
}

// Each node takes its connections, and so does the one more of an upgrade: what is enough for four is not for five.
func TestConnectionsOfAllNodes(t *testing.T) {
	for nodes, want := range map[int]Grade{0: OK, 4: OK, 5: Warn} {
		for _, f := range judgeSettings(map[string]string{"max_connections": "100"}, nodes) {
			if f.Check == "postgres max_connections" {
				f.is(t, want, fmt.Sprintf("100, for %d live nodes", nodes))
			}
		}
	}
}

// lying is a store that shows a write late.
type lying struct {
	blob.Store
	read func() ([]byte, error)
}

func (l lying) Read(context.Context, string, int64, int64) ([]byte, error) { return l.read() }

func TestStoresThatLag(t *testing.T) {
	good := mem.New(time.Now)
	consistent(t.Context(), []blob.Store{good}, "a/").is(t, OK, "")
	old := lying{mem.New(time.Now), func() ([]byte, error) { return nil, blob.ErrNotFound }}
	consistent(t.Context(), []blob.Store{old}, "a/").is(t, Bad, "just written")
	// Two endpoints that are not one bucket.
	consistent(t.Context(), []blob.Store{mem.New(time.Now), mem.New(time.Now)}, "a/").is(t, Bad, "just written")
}

func TestClocks(t *testing.T) {
	skew("c", "x", time.Second, 0).is(t, OK, "")
	skew("c", "x", -10*time.Second, time.Second).is(t, Warn, "-10s")
	skew("c", "x", 10*time.Second, 9*time.Second).is(t, OK, "")
	skew("c", "x", 10*time.Minute, time.Second).is(t, Bad, "10m")
}

func TestDisks(t *testing.T) {
	judgeSync(timing{time.Millisecond}).is(t, OK, "")
	judgeSync(timing{time.Microsecond}).is(t, Warn, "")
	judgeSync(timing{50 * time.Millisecond}).is(t, Warn, "50ms")
	if os.Getuid() != 0 { // root may write anywhere
		disk("/proc").is(t, Bad, "")
	}
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	disk(file).is(t, Bad, "")
	for of, want := range map[string]string{dir: dir, filepath.Join(dir, "not", "there"): dir, filepath.Join("not", "there"): ".", "/not-there/at-all": "/"} {
		if got := nearest(of); got != want {
			t.Errorf("for %s the disk of %s is looked at, want that of %s", of, got, want)
		}
	}
}

// A proxy that speaks HTTP/1.1 alone, or is not Leat at all, is found.
func TestServersThatAreNotLeat(t *testing.T) {
	srv := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	defer srv.Close()
	found, healthy := run(t, Options{HTTP: srv.URL})
	if healthy {
		t.Error("healthy")
	}
	found["AWS wire, HTTP/1.1, JSON"].is(t, Bad, "not an answer of Leat")
	found["AWS wire, HTTP/2, CBOR"].is(t, Bad, "")
}

func TestCertificates(t *testing.T) {
	srv := httptest.NewTLSServer(http.NotFoundHandler())
	defer srv.Close()
	f := certificates(t.Context(), srv.URL, withSystems(nil), "--flag")
	if f == nil {
		t.Fatal("not looked at")
	}
	f.is(t, Bad, "certificate")
	if !strings.HasSuffix(f.Do, "with --flag") {
		t.Errorf("it says %q", f.Do)
	}
	ours := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: srv.Certificate().Raw})
	certificates(t.Context(), srv.URL, withSystems(ours), "--flag").is(t, OK, "a chain of 1")
	if certificates(t.Context(), "http://127.0.0.1:1", nil, "") != nil {
		t.Error("http has no certificate")
	}
}
