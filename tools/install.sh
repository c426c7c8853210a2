#!/usr/bin/env bash
# Installs programs of tools/versions.txt for this user, unless they are there,
# and prints their folders joined by ":" so that a caller can say
#
#	PATH="$(tools/install.sh buf protoc-gen-go):$PATH"
#
# They live in ${LEAT_TOOLS:-${XDG_CACHE_HOME:-$HOME/.cache}/leat/tools}/NAME-VERSION/,
# outside the tree: one build serves every clone. A folder appears whole or not
# at all, so installs may run side by side and be interrupted.
set -euo pipefail

versions=$(dirname "${BASH_SOURCE[0]}")/versions.txt
cache=${LEAT_TOOLS:-${XDG_CACHE_HOME:-${HOME:?HOME, XDG_CACHE_HOME or LEAT_TOOLS must be set}/.cache}/leat/tools}

build() { # name package version folder
	local name=$1 package=$2 version=$3 dest=$4 tmp
	tmp=$(mktemp -d "$cache/.$name.XXXXXX")
	# shellcheck disable=SC2064 # the folder of this call, not of a later one
	trap "rm -rf '$tmp'" EXIT
	echo "install: $name $version (a few minutes when nothing is cached)" >&2
	# From outside any module, for this machine, whatever the caller builds for.
	# -buildvcs=false stands in for the caller's flags: -mod=vendor would fail.
	if ! (cd "$tmp" && env -u GOOS -u GOARCH GOWORK=off GOFLAGS=-buildvcs=false GOBIN="$tmp/bin" \
		go install "$package@$version" >"$tmp/log" 2>&1); then
		cat "$tmp/log" >&2
		echo "install: $name $version cannot be built" >&2
		return 1
	fi
	# Another install may have won: its folder is as good.
	if ! mv -T "$tmp/bin" "$dest" 2>/dev/null && ! [ -x "$dest/$name" ]; then
		echo "install: $dest is in the way: remove it" >&2
		return 1
	fi
	rm -rf "$tmp"
	trap - EXIT
}

[ $# -gt 0 ] || { echo "usage: tools/install.sh NAME..." >&2; exit 2; }
mkdir -p "$cache"
path=
for name in "$@"; do
	read -r package version < <(awk -v n="$name" '$1 == n { print $2, $3 }' "$versions") || true
	[ -n "${version:-}" ] || { echo "install: $name is not in tools/versions.txt" >&2; exit 2; }
	dest=$cache/$name-$version
	if ! [ -x "$dest/$name" ]; then
		# Of several installs of one program, one builds and the others wait, where flock is there.
		exec 9>"$cache/.$name.lock"
		! command -v flock >/dev/null || flock 9
		[ -x "$dest/$name" ] || build "$name" "$package" "$version" "$dest" 9>&-
		exec 9>&-
	fi
	path=$path${path:+:}$dest
	unset package version
done
echo "$path"
