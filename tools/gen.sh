#!/usr/bin/env bash
# Generates api/leat/v1 from proto/: Go messages, gRPC, the REST gateway and the
# OpenAPI file; and server/forward/internalv1, what nodes ask of each other. Needs
# no network once the tools are there.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

PATH="$(tools/install.sh buf protoc-gen-go protoc-gen-go-grpc protoc-gen-grpc-gateway protoc-gen-openapiv2):$PATH"

# Into a folder beside, then over the old code: a failure leaves the tree as it was,
# and the code of a proto that is gone goes.
new=$(mktemp -d)
trap 'rm -rf "$new"' EXIT
buf generate --output "$new"
buf generate --template buf.gen.internal.yaml --output "$new"

dest=api/leat/v1
mkdir -p "$dest"
rm -f "$dest"/*.pb.go "$dest"/*.pb.gw.go "$dest"/openapi.json
mv "$new"/api/leat/v1/*.go "$dest"/
mv "$new"/api/leat/v1/openapi.swagger.json "$dest"/openapi.json

dest=server/forward/internalv1
mkdir -p "$dest"
rm -f "$dest"/*.pb.go
mv "$new/$dest"/*.go "$dest"/
