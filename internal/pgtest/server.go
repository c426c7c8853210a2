// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package pgtest

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"

	"github.com/leatstream/leat/internal/testproc"
)

// binEnv names the folder of initdb and postgres, before any other place.
const binEnv = "LEAT_POSTGRES_BIN"

// debianBins is where Debian keeps them, one folder for each major version.
const debianBins = "/usr/lib/postgresql/*/bin"

// server is an installed PostgreSQL and the account to run it as.
type server struct {
	bin  string
	user *testproc.User // nil: the test's own
}

func (s server) binary(name string) string { return filepath.Join(s.bin, name) }

func findServer() (server, error) {
	bin, err := findBin(os.Getenv(binEnv), debianBins)
	if err != nil {
		return server{}, err
	}
	u, err := runAs(os.Geteuid())
	return server{bin: bin, user: u}, err
}

// findBin returns the folder of initdb and postgres: the configured one, else
// the newest that matches glob, else the one on PATH.
func findBin(configured, glob string) (string, error) {
	if configured != "" {
		if !hasServer(configured) {
			return "", fmt.Errorf("pgtest: no initdb and postgres in %s=%s", binEnv, configured)
		}
		return configured, nil
	}
	found, err := filepath.Glob(glob)
	if err != nil {
		return "", fmt.Errorf("pgtest: %w", err)
	}
	slices.SortFunc(found, func(a, b string) int { return cmp.Compare(major(b), major(a)) })
	for _, bin := range found {
		if hasServer(bin) {
			return bin, nil
		}
	}
	if initdb, err := exec.LookPath("initdb"); err == nil && hasServer(filepath.Dir(initdb)) {
		return filepath.Dir(initdb), nil
	}
	return "", fmt.Errorf("pgtest: PostgreSQL's server is not installed (looked for initdb and postgres in %s and on PATH): "+
		"run `make test`, which installs it, or set %s", glob, binEnv)
}

func hasServer(bin string) bool {
	for _, name := range []string{"initdb", "postgres"} {
		info, err := os.Stat(filepath.Join(bin, name))
		if err != nil || info.Mode()&0o111 == 0 {
			return false
		}
	}
	return true
}

// major is the version in .../15/bin, or 0.
func major(bin string) int {
	n, _ := strconv.Atoi(filepath.Base(filepath.Dir(bin))) // 0 sorts last, which is right for what is no number
	return n
}

// runAs picks the account for a test that runs as euid.
func runAs(euid int) (*testproc.User, error) {
	if euid != 0 {
		return nil, nil
	}
	for _, name := range []string{"postgres", "nobody"} {
		u, err := user.Lookup(name)
		if err != nil {
			continue
		}
		uid, errUID := strconv.ParseUint(u.Uid, 10, 32)
		gid, errGID := strconv.ParseUint(u.Gid, 10, 32)
		if err := errors.Join(errUID, errGID); err != nil {
			return nil, fmt.Errorf("pgtest: the account %s: %w", name, err)
		}
		return &testproc.User{UID: uint32(uid), GID: uint32(gid)}, nil
	}
	return nil, errors.New("pgtest: PostgreSQL refuses to run as root and there is neither an account postgres nor nobody")
}
