// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

//go:build unix && !linux

package testproc

import (
	"fmt"
	"net"
	"os"
	"syscall"
)

// sysProcAttr has no death signal here: a test that is killed leaves its
// servers running.
func sysProcAttr(cfg Config) *syscall.SysProcAttr {
	attr := &syscall.SysProcAttr{Setpgid: true}
	if cfg.User != nil {
		attr.Credential = &syscall.Credential{Uid: cfg.User.UID, Gid: cfg.User.GID}
	}
	return attr
}

// reserve finds a free port and cannot hold it: other systems refuse a second
// socket on the same address.
func reserve() (port int, held *os.File, err error) {
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		return 0, nil, fmt.Errorf("reserve a port: %w", err)
	}
	port = l.Addr().(*net.TCPAddr).Port
	return port, nil, l.Close()
}
