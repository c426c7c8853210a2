// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package testproc

import (
	"errors"
	"net"
	"os"
	"strconv"
	"sync"
)

// Port is a TCP port of 127.0.0.1 that is kept for one server, also while that
// server is stopped. The server must be told its number and must set
// SO_REUSEADDR, as every Go server does.
type Port struct {
	number int
	once   sync.Once
	held   *os.File // nil where the system cannot hold a port
}

// ReservePort lets the kernel choose a free port and keeps it.
func ReservePort() (*Port, error) {
	number, held, err := reserve()
	if err != nil {
		return nil, err
	}
	return &Port{number: number, held: held}, nil
}

// Addr is the address as 127.0.0.1:port.
func (p *Port) Addr() string {
	return net.JoinHostPort("127.0.0.1", strconv.Itoa(p.number))
}

// Release gives the port back. It may be called twice.
func (p *Port) Release() (err error) {
	p.once.Do(func() {
		if p.held != nil {
			err = p.held.Close()
		}
	})
	return err
}

// closing closes f on the way out of a failure and adds what that says.
func closing(f *os.File, err error) error { return errors.Join(err, f.Close()) }
