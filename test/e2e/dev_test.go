// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package e2e_test

import (
	"context"
	"crypto/rand"
	"errors"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/test/e2e/rig"
)

// readyGoal is how soon leat dev serves. The test asserts ten times as much: machines that run tests are busy.
const readyGoal = 2 * time.Second

// What leat dev prints is what a newcomer does: the very commands work, one after the other.
func TestDevPrintsCommandsThatWork(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	n := rig.Dev(t, "dev", dir)
	took := n.Start(t)
	var banner string
	rig.Eventually(t, rig.Patience, "a banner", func() error {
		if banner = n.Log(); !strings.Contains(banner, "get hello") {
			return errors.New(banner)
		}
		return nil
	})
	said := regexp.MustCompile(`ready after (\d+) ms`).FindStringSubmatch(banner)
	if said == nil {
		t.Fatalf("no time in the banner:\n%s", banner)
	}
	ms, err := strconv.Atoi(said[1])
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("ready after %d ms by its own word, %d ms with the start of the process (goal %v)", ms, took.Milliseconds(), readyGoal)
	if took > 10*readyGoal {
		t.Errorf("ready after %v", took)
	}
	for _, want := range []string{"http://" + n.HTTP + "/v1", "http://" + n.HTTP + "/docs", "http://" + n.HTTP + "/metrics", n.GRPC} {
		if !strings.Contains(banner, want) {
			t.Errorf("the banner does not name %s:\n%s", want, banner)
		}
	}
	_, commands, _ := strings.Cut(banner, "Try it:\n")
	var printed []string
	for line := range strings.SplitSeq(commands, "\n") {
		if !strings.HasPrefix(line, "  ") {
			continue
		}
		shell := exec.CommandContext(t.Context(), "/bin/sh", "-c", line)
		shell.Env = append(os.Environ(), "PATH=/usr/bin:"+os.Getenv("PATH")) // Debian's aws before others
		out, err := shell.CombinedOutput()
		if err != nil {
			t.Fatalf("%s: %v\n%s", line, err, out)
		}
		printed = append(printed, string(out))
	}
	if len(printed) != 4 || printed[2] != "my first record\n" || !strings.Contains(printed[3], `"hello"`) {
		t.Fatalf("the commands printed %q", printed)
	}
	n.Stop(t)
	rig.CheckDev(t, dir)
}

// What was acknowledged survives a stop, of which nothing is left to recover, and kill -9, after which it is recovered.
func TestDevKeepsItsData(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "data")
	n := rig.Dev(t, "dev", dir)
	n.Start(t)
	rig.Must(t, n.Env(), "stream", "create", "s", "--shards", "2")
	want := map[string]bool{}
	put := func(value string) {
		t.Helper()
		rig.Must(t, n.Env(), "put", "s", value, "--key", value)
		want[value] = true
	}
	check := func(when string) {
		t.Helper()
		got := getJSON(t, n, "s")
		for _, r := range got {
			if !want[string(r.Data)] {
				t.Errorf("%s: %q was never put", when, r.Data)
			}
		}
		if len(got) != len(want) {
			t.Errorf("%s: %d records, want %d", when, len(got), len(want))
		}
	}
	put("before the stop")
	n.Stop(t)
	rig.CheckDev(t, dir)
	n.Start(t)
	if strings.Contains(n.Log(), "recovered a session") {
		t.Error("a start after SIGTERM had something to recover")
	}
	check("after SIGTERM")
	put("before the kill")
	n.Kill(t)
	rig.CheckDev(t, dir)
	t.Logf("ready %v after kill -9", n.Start(t).Round(time.Millisecond))
	if strings.Count(n.Log(), "recovered a session") != 1 {
		t.Error("a start after kill -9 did not recover one session")
	}
	check("after kill -9")
	put("after the kill")
	check("at the end")
	n.Stop(t)
	rig.CheckDev(t, dir)
}

// SIGTERM under load: what was acknowledged is there, the rest was refused as not executed or of unknown fate, and the
// process ends with exit status 0.
func TestDevDrainsUnderLoad(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "data")
	n := rig.Dev(t, "dev", dir)
	n.Start(t)
	rig.Must(t, n.Env(), "stream", "create", "logs", "--shards", "4")
	lines := realInput(t)
	acks := filepath.Join(t.TempDir(), "acks")
	p := startPut(t, n, lines, kills+1, "put", "logs", "--lines", "--key-column", "3", "--ack-log", acks, "-o", "json")
	for range kills {
		awaitAcked(t, n, len(lines)/(4*kills))
		n.Stop(t)
		p.next(t)
		n.Start(t)
	}
	if res := p.Wait(t); res.Code != 0 {
		t.Fatalf("put ended with exit status %d: %s", res.Code, res.Stderr)
	}
	got := getJSON(t, n, "logs")
	checkKeys(t, lines, got)
	checkAcks(t, lines, got, acks)
	n.Stop(t)
	if strings.Contains(n.Log(), "recovered a session") {
		t.Error("a start after SIGTERM had something to recover")
	}
	rig.CheckDev(t, dir)
}

func TestDevRefuses(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "data")
	n := rig.Dev(t, "dev", dir)
	n.Start(t)
	busy, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer busy.Close()
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	other := filepath.Join(t.TempDir(), "other")
	free := []string{"--http-addr", "127.0.0.1:0", "--grpc-addr", "127.0.0.1:0"}
	for _, tc := range []struct {
		about string
		args  []string
		code  int // 1 failed, 2 called wrongly
		want  []string
	}{
		{"a folder in use", append([]string{"--data-dir", dir}, free...), 1, []string{"--data-dir", dir, "another", "choose another folder"}},
		{"a folder below a file", append([]string{"--data-dir", filepath.Join(file, "data")}, free...), 1, []string{"--data-dir", "not a directory", "choose a folder"}},
		{"a folder that cannot be", append([]string{"--data-dir", "/proc/leat"}, free...), 1, []string{"--data-dir", "/proc/leat", "choose a folder"}},
		{"an HTTP port in use", []string{"--data-dir", other, "--http-addr", busy.Addr().String(), "--grpc-addr", "127.0.0.1:0"}, 1, []string{"--http-addr", busy.Addr().String(), "in use", "another port"}},
		{"a gRPC port in use", []string{"--data-dir", other, "--http-addr", "127.0.0.1:0", "--grpc-addr", busy.Addr().String()}, 1, []string{"--grpc-addr", busy.Addr().String(), "in use", "another port"}},
		{"an address that others reach", []string{"--data-dir", other, "--http-addr", "0.0.0.0:0", "--grpc-addr", "127.0.0.1:0"}, 2, []string{"--http-addr", "0.0.0.0:0", "loopback", "leat serve"}},
		{"no port", []string{"--data-dir", other, "--http-addr", "localhost", "--grpc-addr", "127.0.0.1:0"}, 2, []string{"--http-addr", "HOST:PORT"}},
		{"a pack interval out of bounds", append([]string{"--data-dir", other, "--pack-every", "1ms"}, free...), 2, []string{"--pack-every", "1s to 1h"}},
	} {
		t.Run(tc.about, func(t *testing.T) {
			refused(t, rig.Run(t, nil, append([]string{"dev"}, tc.args...)...), tc.code, tc.want...)
		})
	}
	if r := rig.Run(t, nil, "dev", "--shard-limits", "none"); r.Code != 2 || !strings.Contains(r.Stderr, "--shard-limits") {
		t.Errorf("a wrong flag: exit status %d, %s", r.Code, r.Stderr)
	}
	if err := n.Ready(t.Context()); err != nil {
		t.Errorf("the first process is disturbed: %v", err)
	}
}

// refused checks that a command ended with an exit status and one line of error that says all of want.
func refused(t *testing.T, r rig.Result, code int, want ...string) {
	t.Helper()
	if r.Code != code {
		t.Errorf("exit status %d, want %d", r.Code, code)
	}
	lines := strings.Split(strings.TrimRight(r.Stderr, "\n"), "\n")
	last := lines[len(lines)-1]
	for _, w := range want {
		if !strings.Contains(last, w) {
			t.Errorf("the error does not say %q: %s", w, last)
		}
	}
	for _, l := range lines[:len(lines)-1] {
		if !strings.HasPrefix(l, "time=") { // the log may say something too
			t.Errorf("the error has more than one line:\n%s", r.Stderr)
			break
		}
	}
	if !strings.HasPrefix(last, "leat: ") {
		t.Errorf("the error does not begin with the command's name: %s", last)
	}
}

// A folder that the user may not write to. Root may write everywhere: it lets go of that first.
func TestDevRefusesAnUnwritableFolder(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o555); err != nil {
		t.Fatal(err)
	}
	c := rig.Command{Args: []string{"dev", "--data-dir", dir, "--http-addr", "127.0.0.1:0", "--grpc-addr", "127.0.0.1:0"}}
	if os.Geteuid() == 0 {
		c.User = &syscall.Credential{Uid: 65534, Gid: 65534}
		c.Binary = publicCopy(t)
		if err := os.Chmod(filepath.Dir(dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	refused(t, rig.Exec(t, c), 1, "--data-dir", dir, "permission denied")
}

// publicCopy copies the binary to where every user can run it.
func publicCopy(t *testing.T) string {
	t.Helper()
	binary, err := os.ReadFile(rig.Binary(t))
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	path := filepath.Join(dir, "leat")
	err = errors.Join(os.WriteFile(path, binary, 0o755), os.Chmod(dir, 0o755), os.Chmod(filepath.Dir(dir), 0o755))
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// A disk that fills up: puts are refused with a clear error and the process stays; with room again it takes puts, and
// everything that was acknowledged is there.
func TestDevOnAFullDisk(t *testing.T) {
	t.Parallel()
	disk := smallDisk(t, "512m")
	n := rig.Dev(t, "dev", filepath.Join(disk, "data"), "--pack-every", "1s")
	n.Start(t)
	rig.Must(t, n.Env(), "stream", "create", "s", "--shards", "2")
	c := n.Dial(t)
	before := 0
	put := func(key string, size int) error {
		ctx, cancel := context.WithTimeout(t.Context(), rig.Patience)
		defer cancel()
		return putOne(ctx, c, "s", key, incompressible(size))
	}
	if err := put("first", 100); err != nil {
		t.Fatal(err)
	}
	before++
	filler := filepath.Join(disk, "filler")
	fill(t, filler)
	var refusal error
	for i := 0; refusal == nil; i++ {
		if refusal = put(strconv.Itoa(i), 1<<20-100); refusal == nil {
			before++
		}
		if i > 600 {
			t.Fatal("600 MiB went onto a disk of 512 MiB")
		}
	}
	t.Logf("%d puts were taken, then: %v", before, refusal)
	if k := leat.KindOf(refusal); k != leat.KindUnknownOutcome && k != leat.KindUnavailable {
		t.Errorf("a put on a full disk fails with %v", k)
	}
	rig.Eventually(t, rig.Patience, "the node says that the disk is full", func() error {
		err := n.Ready(t.Context())
		if err != nil && strings.Contains(err.Error(), "full") {
			return nil
		}
		return errors.Join(errors.New("readyz"), err)
	})
	if err := os.Remove(filler); err != nil {
		t.Fatal(err)
	}
	rig.Eventually(t, rig.Patience, "puts are taken again", func() error {
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
		defer cancel()
		return putOne(ctx, c, "s", "again", nil)
	})
	got := getJSON(t, n, "s")
	if len(got) < before+1 {
		t.Errorf("%d records, want %d or more", len(got), before+1)
	}
	n.Stop(t)
	rig.CheckDev(t, filepath.Join(disk, "data"))
}

// incompressible returns bytes that no codec makes smaller.
func incompressible(size int) []byte {
	b := make([]byte, size)
	_, _ = rand.Read(b) // never fails
	return b
}

// smallDisk mounts a file system of its own, which takes root and a kernel that lets it.
func smallDisk(t *testing.T, size string) string {
	t.Helper()
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size="+size); err != nil {
		t.Skipf("a small disk cannot be mounted here: %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, 0); err != nil {
			t.Error(err)
		}
	})
	return dir
}

// fill writes a file until the disk is full.
func fill(t *testing.T, name string) {
	t.Helper()
	f, err := os.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	block := make([]byte, 1<<16)
	for err == nil {
		_, err = f.Write(block)
	}
	if !errors.Is(err, syscall.ENOSPC) {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
}
