// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

// cpu is processor time. Unlike a rate it does not suffer from what else runs on the machine.
type cpu struct{ Server, Client time.Duration }

func (c cpu) since(o cpu) cpu { return cpu{c.Server - o.Server, c.Client - o.Client} }

// cpuNow is what the server and this process have used so far. The server's is known to 10 ms.
func cpuNow(server int) (c cpu, err error) {
	var self unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &self); err != nil {
		return c, fmt.Errorf("getrusage: %w", err)
	}
	c.Client = time.Duration(self.Utime.Nano() + self.Stime.Nano())
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", server))
	if err != nil {
		return c, err
	}
	c.Server, err = parseStat(stat)
	return c, err
}

// userHertz is the unit of times in /proc, on every architecture that Go runs Linux on.
const userHertz = 100

// parseStat reads user and system time from the text of /proc/PID/stat: fields 14 and 15, after a name in parentheses that
// may have anything in it.
func parseStat(stat []byte) (time.Duration, error) {
	fields := bytes.Fields(stat[bytes.LastIndexByte(stat, ')')+1:])
	if len(fields) < 13 {
		return 0, fmt.Errorf("/proc/PID/stat has too few fields: %q", stat)
	}
	user, err1 := strconv.ParseInt(string(fields[11]), 10, 64)
	system, err2 := strconv.ParseInt(string(fields[12]), 10, 64)
	return time.Duration(user+system) * time.Second / userHertz, errors.Join(err1, err2)
}
