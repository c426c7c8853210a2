#!/usr/bin/env bash
# Does what README.md says under "Sixty seconds" on a machine that has nothing but what it asks for: a fresh Debian 12 in a
# folder (debootstrap), with Go, git and make. Says how long it took from the clone to the first record read back.
#
#	tools/first-run.sh              as a user of that machine
#	tools/first-run.sh --root       as root
#	tools/first-run.sh --keep DIR   leaves the machine in DIR, and takes one that is there
#
# Needs root, debootstrap and some 2 GB. What is cloned is the commit that this tree is at. Go modules and Debian packages come from
# where this machine gets its own.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

fail() { echo "first-run: $1" >&2; exit 1; }
user=newcomer keep=
while [ $# -gt 0 ]; do
	case $1 in
	--root) user=root ;;
	--keep) keep=${2:?--keep needs a folder}; shift ;;
	*) fail "usage: tools/first-run.sh [--root] [--keep DIR]" ;;
	esac
	shift
done
[ "$(id -u)" = 0 ] || fail "only root can make the folder another machine"
command -v debootstrap >/dev/null || fail "debootstrap is needed: apt-get install --no-install-recommends debootstrap"

machine=${keep:-$(mktemp -d "${TMPDIR:-/var/tmp}/leat-first-run.XXXXXX")}
# Mounts are made in a namespace of their own (below): when this removes the folder there are none in it.
[ -n "$keep" ] || trap 'rm -rf --one-file-system "$machine"' EXIT

if ! [ -x "$machine/usr/bin/git" ]; then
	mirror=$(apt-get indextargets --format '$(REPO_URI)' 'Codename: bookworm' 'Created-By: Packages' | head -1)
	[ -n "$mirror" ] || fail "this machine has no mirror of Debian bookworm"
	echo "first-run: making a Debian 12 in $machine" >&2
	debootstrap --variant=minbase --include=ca-certificates,git,make bookworm "$machine" "$mirror" >"$machine.log" 2>&1 || { tail -20 "$machine.log" >&2; fail "debootstrap could not make it"; }
	rm -f "$machine.log"
	cp -aL "$(go env GOROOT)" "$machine/usr/local/go"
	# Authorities and names, as a machine beside this one would have them.
	cp -aL /etc/ssl/certs/ca-certificates.crt "$machine/etc/ssl/certs/"
	chroot "$machine" useradd --create-home --shell /bin/bash newcomer
fi
cp -L /etc/resolv.conf /etc/hosts "$machine/etc/"
rm -rf "$machine/srv/leat.git"
git clone --quiet --bare . "$machine/srv/leat.git"
git -C "$machine/srv/leat.git" update-ref refs/heads/main "$(git rev-parse HEAD)"
git -C "$machine/srv/leat.git" symbolic-ref HEAD refs/heads/main
chroot "$machine" git config --system --replace-all safe.directory '*'

# The two first blocks of the README, as they stand there but for where the clone comes from: in one terminal, then in another.
blocks=$(awk '/^```sh$/ { n++; inside = 1; next } /^```$/ { inside = 0; next } inside && n <= 2 { print n ":" $0 }' README.md)
first=$(sed -n 's/^1://p' <<<"$blocks" | sed 's|https://github.com/leatstream/leat|/srv/leat.git|')
second=$(sed -n 's/^2://p' <<<"$blocks")
grep -q 'git clone /srv/leat.git' <<<"$first" && grep -q 'leat get' <<<"$second" || fail "README.md does not begin with a clone and a record any more"
cat >"$machine/srv/first-run.sh" <<-SCRIPT
	set -euo pipefail
	cd "\$HOME"
	rm -rf leat
	began=\$(date +%s)
	(
		$first
	) >"\$HOME/server.log" 2>&1 &
	server=\$!
	until [ -x leat/bin/leat ] && leat/bin/leat health >/dev/null 2>&1; do
		if ! kill -0 \$server 2>/dev/null; then cat "\$HOME/server.log"; exit 1; fi
		sleep 0.2
	done
	cd leat
	serving=\$(date +%s)
	$second
	echo "clone to ready: \$((serving - began)) s; to the first record: \$((\$(date +%s) - began)) s, as \$(id -un)"
SCRIPT
# The ports are this machine's: a network of its own would have no modules. With the first process all others end.
unshare --mount --pid --fork --kill-child bash -euc '
	mount --make-rprivate /
	mount -t proc proc "$1/proc"
	mount --rbind /dev "$1/dev"
	exec chroot "$1" su --login "$2" --command "$3"
' first-run "$machine" "$user" "export PATH=/usr/local/go/bin:\$PATH GOPROXY=$(go env GOPROXY) GOSUMDB=$(go env GOSUMDB); bash /srv/first-run.sh"
