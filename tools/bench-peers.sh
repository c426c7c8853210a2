#!/usr/bin/env bash
# Measures bin/leat beside Debian's Redis and NATS, and passes its arguments on:
# see test/peers/doc.go. `make bench-peers` builds Leat and installs Redis first.
# The servers' folders are made under TMPDIR, which must be on a disk.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

nats=$(tools/install.sh nats-server)
# A module of its own, so that the peers' clients stay out of Leat's.
go build -C test/peers -o ../../bin/bench-peers .
exec bin/bench-peers -leat bin/leat -redis redis-server -nats "$nats/nats-server" "$@"
