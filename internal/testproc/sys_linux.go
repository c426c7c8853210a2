// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package testproc

import (
	"fmt"
	"os"
	"syscall"
)

func sysProcAttr(cfg Config) *syscall.SysProcAttr {
	attr := &syscall.SysProcAttr{Setpgid: true, Pdeathsig: cfg.DeathSignal}
	if cfg.User != nil {
		attr.Credential = &syscall.Credential{Uid: cfg.User.UID, Gid: cfg.User.GID}
	}
	return attr
}

// reserve binds a socket to a port that the kernel chooses, and does not listen.
//
// Linux gives such a port to nobody that asks for any port, neither to listen
// nor to connect from, and yet lets a server that names it listen there, since
// both set SO_REUSEADDR (net.Listen does). A connection to it is refused.
func reserve() (port int, held *os.File, err error) {
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		return 0, nil, fmt.Errorf("reserve a port: %w", err)
	}
	held = os.NewFile(uintptr(fd), "reserved port")
	if err := syscall.SetsockoptInt(fd, syscall.SOL_SOCKET, syscall.SO_REUSEADDR, 1); err != nil {
		return 0, nil, fmt.Errorf("reserve a port: %w", closing(held, err))
	}
	if err := syscall.Bind(fd, &syscall.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		return 0, nil, fmt.Errorf("reserve a port: %w", closing(held, err))
	}
	addr, err := syscall.Getsockname(fd)
	if err != nil {
		return 0, nil, fmt.Errorf("reserve a port: %w", closing(held, err))
	}
	return addr.(*syscall.SockaddrInet4).Port, held, nil
}
