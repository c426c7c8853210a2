// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package s3test

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// versionsFile is the list of pinned tools, from the module's root.
const versionsFile = "tools/versions.txt"

// findBinary returns the path of MinIO as tools/install.sh installs it.
func findBinary() (string, error) {
	wd, err := os.Getwd() // go test runs a test in its package's folder
	if err != nil {
		return "", fmt.Errorf("s3test: %w", err)
	}
	version, err := pinned(wd, "minio")
	if err != nil {
		return "", err
	}
	cache, err := toolsDir(os.Getenv)
	if err != nil {
		return "", err
	}
	return installed(filepath.Join(cache, "minio-"+version, "minio"))
}

func installed(path string) (string, error) {
	if _, err := os.Stat(path); err != nil {
		return "", fmt.Errorf("s3test: the S3 server is not installed (%w): run `make test`, which installs it, "+
			"or `tools/install.sh minio`", err)
	}
	return path, nil
}

// toolsDir is the rule of tools/install.sh.
func toolsDir(getenv func(string) string) (string, error) {
	if dir := getenv("LEAT_TOOLS"); dir != "" {
		return dir, nil
	}
	if dir := getenv("XDG_CACHE_HOME"); dir != "" {
		return filepath.Join(dir, "leat", "tools"), nil
	}
	if dir := getenv("HOME"); dir != "" {
		return filepath.Join(dir, ".cache", "leat", "tools"), nil
	}
	return "", errors.New("s3test: HOME, XDG_CACHE_HOME or LEAT_TOOLS must be set")
}

// pinned is the version of a tool in the versions file of the module that dir
// is in.
func pinned(dir, name string) (string, error) {
	f, err := openAbove(dir, versionsFile)
	if err != nil {
		return "", err
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		if fields := strings.Fields(lines.Text()); len(fields) == 3 && fields[0] == name {
			return fields[2], nil
		}
	}
	if err := lines.Err(); err != nil {
		return "", fmt.Errorf("s3test: read %s: %w", versionsFile, err)
	}
	return "", fmt.Errorf("s3test: %s does not name %s", versionsFile, name)
}

// openAbove opens the file in dir or in the nearest folder above that has it.
func openAbove(dir, name string) (*os.File, error) {
	for {
		f, err := os.Open(filepath.Join(dir, name))
		if err == nil || !errors.Is(err, os.ErrNotExist) {
			return f, err
		}
		if dir == filepath.Dir(dir) {
			return nil, fmt.Errorf("s3test: %s is in no folder above the test's: run tests in Leat's tree", name)
		}
		dir = filepath.Dir(dir)
	}
}
