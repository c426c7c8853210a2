#!/usr/bin/env bash
# Starts the cluster of compose.yaml, with secrets of its own:
#
#	deploy/compose.sh up | ps | logs -f | down [-v] | …    what docker compose takes
#
# deploy/.env is written once, readable by you alone. Lose it with the volumes in place and encrypted streams and
# access keys are lost too: the master key is in it.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"

docker compose version >/dev/null 2>&1 || { echo "compose.sh: docker with its compose plugin is needed" >&2; exit 1; }

secret() { head -c 24 /dev/urandom | base64 | tr '+/' 'ab' | tr -d '='; }

if ! [ -e .env ]; then
	VERSION=$(git describe --tags --always 2>/dev/null || echo dev)
	docker build --quiet -f Dockerfile --build-arg VERSION="$VERSION" -t leat:compose .. >/dev/null
	master=$(docker run --rm leat:compose master-key)
	(
		umask 077
		cat >.env.new <<-EOF
			POSTGRES_PASSWORD=$(secret)
			MINIO_PASSWORD=$(secret)
			GRAFANA_PASSWORD=$(secret)
			LEAT_TOKEN=$(secret)
			LEAT_MASTER_KEY=$master
		EOF
	)
	mv .env.new .env # whole or not at all
fi

case ${1:-up} in
up)
	[ $# -eq 0 ] || shift
	docker compose up --detach --build --wait "$@"
	cat <<-'EOF'
		Leat is ready:
		  AWS, REST   http://127.0.0.1:4567      gRPC        127.0.0.1:4568
		  Prometheus  http://127.0.0.1:9090      Grafana     http://127.0.0.1:3000
		Try it:
		  export LEAT_TOKEN=$(sed -n 's/^LEAT_TOKEN=//p' deploy/.env)
		  bin/leat stream create hello --shards 6 && bin/leat put hello "my first record" && bin/leat get hello
		  bin/leat node list
	EOF
	;;
*) exec docker compose "$@" ;;
esac
