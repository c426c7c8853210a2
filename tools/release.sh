#!/usr/bin/env bash
# Builds a release into dist/: a static binary for each platform, an SBOM (SPDX 2.3, of what the linker put in), SHA256SUMS. The
# same commit, Go version and VERSION give the same bytes, wherever the tree lies: --check builds the first platform
# twice, in two folders, and compares.
#
# A VERSION such as v1.2 becomes the one that the next release is tested beside: commit previous.txt, which names it.
#
#	tools/release.sh VERSION [--check]
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

version=${1:?usage: tools/release.sh VERSION [--check]}
commit=$(git rev-parse HEAD)
previous=test/e2e/rig/previous.txt
platforms=(linux/amd64 linux/arm64 darwin/arm64)
if [ "${2:-}" = --check ]; then
	platforms=(linux/amd64)
elif [ -n "$(git status --porcelain)" ]; then
	git status --short >&2
	echo "release: these files are not in commit $commit, which the release would name: commit them first" >&2
	exit 1
fi

build() { # tree os arch file
	(cd "$1" && CGO_ENABLED=0 GOOS=$2 GOARCH=$3 GOFLAGS='-buildvcs=false -trimpath' \
		go build -ldflags "-s -w -buildid= -X main.version=$version -X main.commit=$commit" -o "$4" ./cmd/leat)
}

new=$(mktemp -d)
trap 'rm -rf "$new"' EXIT
mkdir "$new/dist"
for platform in "${platforms[@]}"; do
	name=leat-$version-${platform%/*}-${platform#*/}
	build . "${platform%/*}" "${platform#*/}" "$new/dist/$name"
	go run ./tools/sbom "$version" "$new/dist/$name" >"$new/dist/$name.spdx.json"
done

if [ "${2:-}" = --check ]; then
	mkdir "$new/elsewhere"
	git ls-files -co --exclude-standard | while IFS= read -r file; do
		[ ! -e "$file" ] || printf '%s\n' "$file"
	done | tar -cf - --verbatim-files-from -T - | tar -xf - -C "$new/elsewhere"
	build "$new/elsewhere" linux amd64 "$new/again"
	cmp "$new/again" "$new/dist/leat-$version-linux-amd64"
	echo "release: two builds in two folders are the same: $(sha256sum <"$new/again" | cut -c1-64)"
	exit 0
fi

(cd "$new/dist" && sha256sum ./* | sed 's| \./| |' >"$new/SHA256SUMS" && mv "$new/SHA256SUMS" .)
rm -rf dist
mv "$new/dist" dist
ls -l dist
if [[ $version == v[0-9]* ]]; then
	{ grep '^#' "$previous"; echo "$version $(git rev-parse 'HEAD^{tree}')"; } >"$new/previous.txt"
	cat "$new/previous.txt" >"$previous"
	echo "release: commit $previous: the next release is tested beside $version"
fi
