// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package fault

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/leatstream/leat/test/e2e/rig"
)

// What is sampled of a process, and how much of it a day may bring where nothing leaks. Memory is in MiB. The live heap is what is left
// after a collection; what it may grow by is the index of a day's records, which stay as long as retention says. A rise that is smaller
// than jitter over what is judged is no leak yet: a pool has a connection more, a burst of a moment made a buffer larger.
var soaked = []struct {
	what   string
	aDay   float64
	jitter float64
	brief  bool // it is judged in a short run too
}{
	{"RSS", 512, 24, false},
	{"live heap", 256, 12, false},
	{"file descriptors", 48, 6, true},
	{"goroutines", 96, 24, true},
}

// Sampler looks at processes and at what they store, again and again.
type Sampler struct {
	Nodes []*rig.Node
	Token string
	Every time.Duration
	// Stored counts rows by table and objects by prefix; nil: they are not looked at.
	Stored func(ctx context.Context) (map[string]int, error)

	began  time.Time
	mu     sync.Mutex
	series map[string][]Point // "node what"
	stored []map[string]int
	errs   []error
}

// Run samples until ctx is done. A process that cannot be looked at is an error of the run.
func (s *Sampler) Run(ctx context.Context) {
	s.mu.Lock()
	s.began, s.series = time.Now(), map[string][]Point{}
	s.mu.Unlock()
	tick := time.NewTicker(s.Every)
	defer tick.Stop()
	const storedEvery = 12 // counting takes longer than the rest
	for i := 0; ; i++ {
		for _, n := range s.Nodes {
			s.sample(ctx, n)
		}
		if s.Stored != nil && i%storedEvery == 0 {
			if now, err := s.Stored(ctx); err == nil {
				s.stored = append(s.stored, now)
			} else if ctx.Err() == nil {
				s.errs = append(s.errs, err)
			}
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// Least is how many samples there are of what there are the fewest of.
func (s *Sampler) Least() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	var counts []int
	for _, n := range s.Nodes {
		for _, of := range soaked {
			counts = append(counts, len(s.series[n.Name+" "+of.what]))
		}
	}
	return slices.Min(counts)
}

func (s *Sampler) sample(ctx context.Context, n *rig.Node) {
	x := time.Since(s.began).Seconds()
	values, err := look(ctx, n, s.Token)
	if ctx.Err() != nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if err != nil {
		s.errs = append(s.errs, fmt.Errorf("%s: %w", n.Name, err))
		return
	}
	for what, y := range values {
		key := n.Name + " " + what
		s.series[key] = append(s.series[key], Point{x, y})
	}
}

// look samples a process: the heap first, which begins with a collection.
func look(ctx context.Context, n *rig.Node, token string) (map[string]float64, error) {
	const mib = 1 << 20
	if err := collect(ctx, n, token); err != nil {
		return nil, err
	}
	v := map[string]float64{}
	for what, metric := range map[string]string{"live heap": "go_memstats_heap_alloc_bytes", "goroutines": "go_goroutines"} {
		y, err := n.Metric(ctx, metric)
		if err != nil {
			return nil, err
		}
		v[what] = y
	}
	v["live heap"] /= mib
	proc := filepath.Join("/proc", strconv.Itoa(n.Pid()))
	fds, err := os.ReadDir(filepath.Join(proc, "fd"))
	if err != nil {
		return nil, err
	}
	v["file descriptors"] = float64(len(fds))
	status, err := os.ReadFile(filepath.Join(proc, "status"))
	if err != nil {
		return nil, err
	}
	_, rest, _ := bytes.Cut(status, []byte("VmRSS:"))
	fields := bytes.Fields(rest)
	if len(fields) < 2 {
		return nil, errors.New("/proc tells no VmRSS")
	}
	kib, err := strconv.ParseFloat(string(fields[0]), 64)
	v["RSS"] = kib / 1024
	return v, err
}

// collect has a process collect its garbage, by asking for a profile of its heap.
func collect(ctx context.Context, n *rig.Node, token string) error {
	return fetch(ctx, new(http.Client), n, "/debug/pprof/heap?gc=1", token)
}

func fetch(ctx context.Context, c *http.Client, n *rig.Node, path, token string) error {
	ctx, cancel := context.WithTimeout(ctx, rig.Patience)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+n.HTTP+path, nil)
	if err != nil {
		return err
	}
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	res, err := c.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if _, err := io.Copy(io.Discard, res.Body); err != nil {
		return err
	}
	if res.StatusCode != http.StatusOK {
		return fmt.Errorf("%s says %s", path, res.Status)
	}
	return nil
}

// Judge fails the test where something does not stay flat: where even the lower end of the Theil-Sen slope, over the second half of the run,
// comes to more than a day may bring, and to more than jitter in that time. In a short run that is what every call or every connection leaves
// behind, and only what shows that is judged.
func (s *Sampler) Judge(t *testing.T, short bool) {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, err := range s.errs {
		if short { // on a machine that does much else an answer may come too late: there are enough others
			t.Logf("a sample is missing: %v", err)
			continue
		}
		t.Errorf("a sample: %v", err)
	}
	const day = 24 * 60 * 60
	t.Log("| node | what | samples | first of the second half | last | least | most | slope a day (99 % between) | a day may bring |")
	t.Log("|---|---|---|---|---|---|---|---|---|")
	for _, n := range s.Nodes {
		for _, of := range soaked {
			all := s.series[n.Name+" "+of.what]
			half := all[len(all)/2:]
			if len(half) < 5 {
				t.Errorf("%s: %d samples of its %s say nothing", n.Name, len(all), of.what)
				continue
			}
			slope := TheilSen(half)
			rise := slope.Low * (half[len(half)-1].X - half[0].X)
			byY := func(a, b Point) int { return cmp.Compare(a.Y, b.Y) }
			t.Logf("| %s | %s | %d | %.0f | %.0f | %.0f | %.0f | %+.0f (%+.0f to %+.0f) | %.0f |", n.Name, of.what, len(all), half[0].Y, half[len(half)-1].Y,
				slices.MinFunc(half, byY).Y, slices.MaxFunc(half, byY).Y, slope.Median*day, slope.Low*day, slope.High*day, of.aDay)
			switch {
			case rise <= of.jitter, short && !of.brief:
			case slope.Low*day > of.aDay:
				t.Errorf("%s: its %s would grow by %.0f a day or more, which may be %.0f", n.Name, of.what, slope.Low*day, of.aDay)
			}
		}
	}
	s.told(t)
}

// told shows how rows and objects grew.
func (s *Sampler) told(t *testing.T) {
	t.Helper()
	if len(s.stored) == 0 {
		return
	}
	first, middle, last := s.stored[0], s.stored[len(s.stored)/2], s.stored[len(s.stored)-1]
	var names []string
	for name := range last {
		names = append(names, name)
	}
	slices.Sort(names)
	t.Log("| table, or prefix in the bucket | at the start | halfway | at the end |")
	t.Log("|---|---|---|---|")
	for _, name := range names {
		t.Logf("| %s | %d | %d | %d |", name, first[name], middle[name], last[name])
	}
}

// Viewer asks the pages of the console and the REST API, one after the other.
type Viewer struct {
	Stream string
	Nodes  []*rig.Node
	Token  string
	Every  time.Duration
	Client *http.Client // is in
	Broken func(format string, args ...any)

	Pages int
}

// Run asks until ctx is done.
func (v *Viewer) Run(ctx context.Context) {
	tick := time.NewTicker(v.Every)
	defer tick.Stop()
	pages := []string{
		"/console/streams", "/console/streams/" + v.Stream, "/console/streams/" + v.Stream + "/shards", "/console/streams/" + v.Stream + "/data",
		"/console/deliveries", "/console/usage", "/console/audit", "/console/nodes", "/console/health",
		"/v1/streams", "/v1/streams/" + v.Stream, "/v1/nodes", "/metrics",
	}
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		n, page := v.Nodes[v.Pages%len(v.Nodes)], pages[v.Pages%len(pages)]
		token := v.Token
		if strings.HasPrefix(page, "/console") {
			token = ""
		}
		if err := fetch(ctx, v.Client, n, page, token); err != nil && ctx.Err() == nil {
			v.Broken("%s of %s: %v", page, n.Name, err)
		}
		v.Pages++
	}
}
