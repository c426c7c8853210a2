#!/usr/bin/env bash
# Every check that needs no test run. All of them run; the last lines name those
# that failed. Changes nothing in the tree.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

PATH="$(tools/install.sh golangci-lint buf):$PATH"

# The files of the tree, committed or not, but for ignored and deleted ones.
files() { # pathspec...
	local file
	git ls-files -co --exclude-standard -- "$@" | while IFS= read -r file; do
		[ ! -e "$file" ] || printf '%s\n' "$file"
	done
}

gofmt_check() {
	local bad
	bad=$(files '*.go' | xargs -r gofmt -s -l)
	[ -z "$bad" ] || { printf 'not formatted, run make fmt:\n%s\n' "$bad"; return 1; }
}

proto_format() { buf format --diff --exit-code proto; }

# Compares with what main has. There is nothing to compare with before main has
# protos, or where a clone came without main: that is said, never silent.
proto_breaking() {
	local ref against
	if git rev-parse -q --verify refs/heads/main >/dev/null; then
		ref=refs/heads/main against="branch=main"
	elif git rev-parse -q --verify refs/remotes/origin/main >/dev/null; then
		ref=refs/remotes/origin/main against="ref=refs/remotes/origin/main"
	else
		echo "NOT CHECKED: this clone has no branch main to compare the protos with"
		return 0
	fi
	if ! git ls-tree -r --name-only "$ref" -- buf.yaml proto | grep -q '\.proto$'; then
		echo "NOT CHECKED: main has no protos yet"
		return 0
	fi
	buf breaking --against "$(git rev-parse --git-common-dir)#$against"
}

# Generates in a copy and compares the whole of it.
generated_fresh() {
	tmp=$(mktemp -d)
	trap 'rm -rf "$tmp"' EXIT
	mkdir "$tmp/tree"
	files . | tar -cf - --verbatim-files-from -T - | tar -xf - -C "$tmp/tree"
	cp -a "$tmp/tree" "$tmp/fresh"
	(cd "$tmp/fresh" && tools/gen.sh)
	if ! diff -r "$tmp/tree" "$tmp/fresh" >"$tmp/diff"; then
		head -50 "$tmp/diff"
		echo "generated code is stale: run make gen and commit what it changes"
		return 1
	fi
}

shell_scripts() {
	if ! command -v shellcheck >/dev/null; then
		echo "NOT CHECKED: shellcheck is not installed"
		return 0
	fi
	files '*.sh' .ci/run | xargs -r shellcheck
}

# A tracked file must not depend on where somebody works, nor on which mirror
# their packages come from.
no_machine_paths() {
	local found=0 host
	local begins='(^|[^[:alnum:]_./~-])' here
	local path="$begins"'/(root|work|home/[[:alnum:]_-]+|tmp/leat)($|[^[:alnum:]_.-])'
	local registry='(proxy|sum)\.golang\.org|registry\.(npmjs\.org|yarnpkg\.com)|pypi\.org|pythonhosted\.org|(deb|snapshot)\.debian\.org|"resolved": *"http'
	git grep --untracked -nIE "$path" && found=1
	git grep --untracked -nIE "$registry" -- ':!tools/lint.sh' && found=1
	# The name of a folder at the root, such as /data, is that of other things too.
	case $PWD in /*/*)
		here=$(printf '%s/' "$PWD" | sed 's/[][\\.*^$+?(){}|]/\\&/g')
		git grep --untracked -nIE -e "$begins$here" && found=1
		;;
	esac
	for host in $(go env GOPROXY | grep -oE '://[^/,|]+' | sed 's|://||; s|.*@||'); do
		case $host in localhost | localhost:* | 127.* | '['*) continue ;; esac # a proxy of this machine names nothing
		git grep --untracked -nIF -e "$host" -- ':!tools/lint.sh' && found=1
	done
	[ "$found" = 0 ] || { echo "machine paths or hosts of package registries in files of the tree"; return 1; }
}

failed=()
step() { # name command...
	local name=$1 start=$SECONDS
	shift
	echo "lint: $name"
	# Not "if (...)": bash forgets set -e inside a condition.
	set +e
	(
		set -e
		"$@"
	)
	local status=$?
	[ $status = 0 ] || failed+=("$name")
	set -e
	[ $((SECONDS - start)) -lt 10 ] || echo "lint: $name took $((SECONDS - start)) s"
}

step gofmt gofmt_check
step "go vet" go vet ./...
step "go vet, peers" go -C test/peers vet ./...
step golangci-lint golangci-lint run
step "buf lint" buf lint
step "buf format" proto_format
step "buf breaking" proto_breaking
step "generated code is fresh" generated_fresh
step shellcheck shell_scripts
step "no machine paths" no_machine_paths

if [ ${#failed[@]} -gt 0 ]; then
	printf 'lint: FAILED: %s\n' "${failed[@]}" >&2
	exit 1
fi
echo "lint: ok"
