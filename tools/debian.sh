#!/usr/bin/env bash
# Installs the Debian packages that tests need, unless they are there:
#
#	tools/debian.sh test     for make test
#	tools/debian.sh clients  for make clients
#	tools/debian.sh peers    for make bench-peers
#	tools/debian.sh deploy   for make deploy-check
#
# Needs root or passwordless sudo when something is missing; otherwise it says
# what to install. Servers that come with a package are not started.
set -euo pipefail

# Each part: the package, and a path or a command that shows it is there, so
# that a part that came another way counts too.
case ${1:-} in
test) parts=(
	"postgresql /usr/lib/postgresql/*/bin/postgres"
	"python3-grpcio /usr/lib/python3/dist-packages/grpc/__init__.py"
	"python3-protobuf /usr/lib/python3/dist-packages/google/protobuf/__init__.py"
	"nodejs node"
	"npm npm"
	"awscli /usr/bin/aws"
	"python3-boto3 /usr/lib/python3/dist-packages/boto3/__init__.py"
	"chromium chromium"
	"curl curl"
	"jq jq"
	"prometheus promtool"
	"haproxy /usr/sbin/haproxy"
) ;;
clients) parts=(
	"protobuf-compiler protoc"
	"protobuf-compiler-grpc grpc_python_plugin"
	"npm npm"
) ;;
peers) parts=("redis-server redis-server") ;;
deploy) parts=(
	"prometheus promtool"
	"haproxy /usr/sbin/haproxy"
) ;;
*)
	echo "usage: tools/debian.sh test|clients|peers|deploy" >&2
	exit 2
	;;
esac

present() { # path-pattern or command
	case $1 in
	/*) compgen -G "$1" >/dev/null ;;
	*) command -v "$1" >/dev/null ;;
	esac
}

missing=()
for part in "${parts[@]}"; do
	present "${part#* }" || missing+=("${part%% *}")
done
# LEAT_POSTGRES_BIN is an installation of the user's own: see internal/pgtest.
if [ -n "${LEAT_POSTGRES_BIN:-}" ]; then
	kept=()
	for package in "${missing[@]}"; do [ "$package" = postgresql ] || kept+=("$package"); done
	missing=("${kept[@]}")
fi
[ ${#missing[@]} -gt 0 ] || exit 0

by_hand="sudo apt-get update && sudo apt-get install --no-install-recommends ${missing[*]}"
fail() {
	echo "make needs these Debian packages: ${missing[*]}" >&2
	echo "$1. Install them by hand:" >&2
	echo "	$by_hand" >&2
	exit 1
}

command -v apt-get >/dev/null || fail "There is no apt-get here"
root=()
if [ "$(id -u)" != 0 ]; then
	sudo -n true 2>/dev/null || fail "They cannot be installed without root"
	root=(sudo -n)
fi

# The server packages start a service when they are installed, unless this
# policy says no. One that the machine already has stays as it is.
policy=/usr/sbin/policy-rc.d
if ! [ -e "$policy" ]; then
	trap '"${root[@]}" rm -f "$policy"' EXIT
	printf '#!/bin/sh\nexit 101\n' | "${root[@]}" tee "$policy" >/dev/null
	"${root[@]}" chmod 755 "$policy"
fi

echo "installing Debian packages: ${missing[*]}" >&2
apt=("${root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -qq -o Dpkg::Use-Pty=0 -o DPkg::Lock::Timeout=300)
log=$(mktemp)
if ! { "${apt[@]}" update && "${apt[@]}" install -y --no-install-recommends "${missing[@]}"; } </dev/null >"$log" 2>&1; then
	cat "$log" >&2
	rm -f "$log"
	fail "apt-get could not install them"
fi
rm -f "$log"
