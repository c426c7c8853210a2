// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package delivery_test

import (
	"encoding/json"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/leatstream/leat/internal/ducktest"
	"github.com/leatstream/leat/server/delivery/spec"
)

func TestMain(m *testing.M) { os.Exit(ducktest.Main(m)) }

// source is what was put: events whose shape changes from batch to batch, and their sums.
type source struct {
	batches           [][]string
	records, referred int
	ids, cents, bytes int64
	durations         float64
	actions           map[string]int
}

// events are batches of JSON events: each has members that the ones before lack, and in the last one a number that was
// whole has a fraction.
func events(batches, each int) *source {
	s := &source{actions: map[string]int{}}
	for b := range batches {
		var lines []string
		for i := range each {
			n := b*each + i
			action := []string{"view", "click", "buy"}[n%3]
			e := map[string]any{
				"id": n, "time": fmt.Sprintf("2026-11-29T00:%02d:%02d.%03dZ", n/60%60, n%60, n%1000), "user": fmt.Sprintf("user-%d", n%97),
				"action": action, "cents": n * 31 % 10_000, "bytes": n * 7919 % 65_536, "duration": float64(n % 13),
			}
			if b > 0 {
				e["referrer"] = fmt.Sprintf("https://example.org/%d?a=\"b\"&ü", n%11)
				s.referred++
			}
			if b > 1 {
				e["duration"] = float64(n%13) + 0.25
			}
			line, err := json.Marshal(e)
			if err != nil {
				panic(err)
			}
			lines = append(lines, string(line))
			s.records++
			s.ids += int64(n)
			s.cents += int64(n * 31 % 10_000)
			s.bytes += int64(n * 7919 % 65_536)
			s.durations += e["duration"].(float64) //nolint:forcetypeassert // given above
			s.actions[action]++
		}
		s.batches = append(s.batches, lines)
	}
	return s
}

// download writes every object below a prefix into files.
func (r *rig) download(prefix string) (paths []string) {
	r.t.Helper()
	dir := r.t.TempDir()
	for _, body := range r.objects(prefix) {
		path := filepath.Join(dir, fmt.Sprint(len(paths)))
		r.must(os.WriteFile(path, body, 0o600))
		paths = append(paths, path)
	}
	return paths
}

// What is delivered to a real object store is read back by readers that nobody here wrote, DuckDB and Python, and has the
// counts and sums of what was put, though the events' shape changes from object to object.
func TestOthersReadWhatIsDelivered(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.stream("s", 2)
	columns := []spec.Column{
		{Name: "id", Type: spec.TypeInt64}, {Name: "time", Type: spec.TypeTimestamp}, {Name: "user", Type: spec.TypeString}, {Name: "action", Type: spec.TypeString},
		{Name: "cents", Type: spec.TypeInt64}, {Name: "bytes", Type: spec.TypeInt64}, {Name: "duration", Type: spec.TypeDouble}, {Name: "referrer", Type: spec.TypeString, Optional: true},
	}
	for name, format := range map[string]spec.Format{
		"inferred": {Kind: spec.ParquetFile}, "given": {Kind: spec.ParquetFile, Parquet: &spec.Parquet{Columns: columns, Compression: spec.Zstd}}, "lines": {Kind: spec.JSONLines},
	} {
		r.deliver(name, r.toBucket("s", func(c *spec.Config) {
			c.Format, c.Naming.Prefix = format, name+"/"
			if c.Compression = spec.None; format.Kind == spec.JSONLines {
				c.Compression = spec.Gzip
			}
		}))
	}
	src := events(3, 4000)
	n := uint64(0)
	for _, batch := range src.batches {
		r.put("s", batch...)
		n += uint64(len(batch))
		for _, name := range []string{"inferred", "given", "lines"} {
			r.settled(name, n)
		}
	}
	want := fmt.Sprintf(`{"n":"%d","ids":"%d","cents":"%d","bytes":"%d","quarters":"%d","referred":"%d","views":"%d"}`,
		src.records, src.ids, src.cents, src.bytes, int64(math.Round(4*src.durations)), src.referred, src.actions["view"])
	for _, name := range []string{"inferred", "given"} {
		if rep := r.clean(name, n); rep.Stored != n || rep.Objects < 6 {
			t.Errorf("%s: verify: %+v", name, rep)
		}
		from := fmt.Sprintf("read_parquet(['%s'], union_by_name=true)", strings.Join(r.download(name+"/"), "','"))
		got := ducktest.Query(t, `SELECT count(*)::VARCHAR AS n, sum(id)::VARCHAR AS ids, sum(cents)::VARCHAR AS cents, sum(bytes)::VARCHAR AS bytes, sum(duration*4)::BIGINT::VARCHAR AS quarters,
			count(referrer)::VARCHAR AS referred, count(*) FILTER (WHERE action = 'view')::VARCHAR AS views FROM `+from,
			`SELECT count(DISTINCT id)::INT AS n, min("user") AS u, max(referrer) AS r FROM `+from)
		if got[0] != "["+want+"]" {
			t.Errorf("%s: DuckDB reads %s, want %s", name, got[0], want)
		}
		if rest := fmt.Sprintf(`[{"n":%d,"u":"user-0","r":%q}]`, src.records, `https://example.org/9?a="b"&ü`); got[1] != rest {
			t.Errorf("%s: DuckDB reads %s, want %s", name, got[1], rest)
		}
	}
	r.clean("lines", n)
	out, err := exec.Command("python3", append([]string{"-c", `
import gzip, json, sys
n = ids = cents = size = referred = views = 0
quarters = 0.0
for path in sys.argv[1:]:
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        for line in lines:
            e = json.loads(line)
            n += 1; ids += e["id"]; cents += e["cents"]; size += e["bytes"]; quarters += 4 * e["duration"]
            referred += "referrer" in e; views += e["action"] == "view"
print(json.dumps({k: str(v) for k, v in dict(n=n, ids=ids, cents=cents, bytes=size, quarters=round(quarters), referred=referred, views=views).items()}, separators=(",", ":")))
`}, r.download("lines/")...)...).Output()
	r.must(err)
	if got := strings.TrimSpace(string(out)); got != want {
		t.Errorf("Python reads %s, want %s", got, want)
	}
}
