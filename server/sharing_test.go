// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package server

import (
	"strings"
	"testing"
)

// Where other nodes are told to find this one.
func TestAddressForOtherNodes(t *testing.T) {
	const local = "postgres://leat@127.0.0.1/leat"
	for _, tc := range []struct {
		about   string
		c       ServeConfig
		listens string
		want    string // "" for a refusal
	}{
		{"an address that is given", ServeConfig{Share: true, Advertise: "node-1:4568"}, "[::]:4568", "node-1:4568"},
		{"one address", ServeConfig{Share: true, Postgres: local}, "127.0.0.1:4568", "127.0.0.1:4568"},
		{"nobody to tell", ServeConfig{}, "[::]:4568", "[::]:4568"},
		{"all addresses and a database on this machine", ServeConfig{Share: true, Postgres: local}, "0.0.0.0:4568", ""},
		{"all addresses and a socket", ServeConfig{Share: true, Postgres: "postgres:///leat?host=/run/postgresql"}, "0.0.0.0:4568", ""},
	} {
		t.Run(tc.about, func(t *testing.T) {
			got, err := tc.c.address(tc.listens)
			if got != tc.want || (err == nil) != (tc.want != "") || err != nil && !strings.Contains(err.Error(), "--advertise-address") {
				t.Errorf("%q, %v; want %q", got, err, tc.want)
			}
		})
	}
	// 192.0.2.1 is nowhere; the way there begins at an address of this machine, where it has one.
	ip, err := facing("postgres://leat@192.0.2.1/leat")
	if err == nil && (ip.IsLoopback() || ip.IsUnspecified()) {
		t.Errorf("facing another machine: %v, %v", ip, err)
	}
}
