// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package docs_test

import (
	"context"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/leatstream/leat/internal/pgtest"
	"github.com/leatstream/leat/internal/s3test"
	"github.com/leatstream/leat/test/e2e/rig"
)

// started waits for the server that runs in the background, and finds where it listens.
const started = `
server=$!
trap 'kill $server; wait $server || true' EXIT
until grep -q ' serves AWS Kinesis on ' serve.log; do
    kill -0 $server
    sleep 0.1
done
http=$(sed -n 's/.* serves AWS Kinesis on \([^,]*\),.*/\1/p' serve.log)
export LEAT_ENDPOINT=$(sed -n 's/.* and gRPC on \(.*\)$/\1/p' serve.log)
`

// TestServeOfGettingStarted runs what docs/getting-started.md says of PostgreSQL and S3, on real ones. The addresses and keys there
// are those of the test's servers, and leat serve runs in the background, on ports that the kernel chooses.
func TestServeOfGettingStarted(t *testing.T) {
	var script string
	for _, b := range blocks(t, "docs/getting-started.md") {
		if strings.Contains(b.text, "LEAT_POSTGRES") || strings.Contains(b.text, "leat key create") {
			script += b.text + "\n"
		}
	}
	store, dsn := s3test.Start(t), pgtest.New(t, pgtest.Durable()).Database(t)
	for _, r := range []struct{ text, with string }{
		{`'postgres://leat:secret@127.0.0.1/leat'`, "'" + dsn + "'"},
		{`http://127.0.0.1:9000`, "http://" + store.Endpoint},
		{`LEAT_S3_BUCKET=leat`, "LEAT_S3_BUCKET=" + store.Bucket(t)},
		{`LEAT_S3_ACCESS_KEY=…`, "LEAT_S3_ACCESS_KEY=" + store.AccessKey},
		{`LEAT_S3_SECRET_KEY=…`, "LEAT_S3_SECRET_KEY=" + store.SecretKey},
		{"leat serve --master-key-file master.key\n", "leat serve --master-key-file master.key --http-addr 127.0.0.1:0 --grpc-addr 127.0.0.1:0 >serve.log 2>serve.err &" + started},
		{`http://127.0.0.1:4567`, `"$http"`},
	} {
		if strings.Count(script, r.text) != 1 {
			t.Fatalf("docs/getting-started.md has %q %d times in its blocks on leat serve", r.text, strings.Count(script, r.text))
		}
		script = strings.Replace(script, r.text, r.with, 1)
	}
	dir := t.TempDir()
	home(t, dir, rig.Binary(t))
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	out, err := shell(ctx, dir, script)
	if err != nil || !regexp.MustCompile(`"StreamNames": \[\s*"hello"\s*\]`).Match(out) {
		t.Errorf("%v\n%s\n%s", err, out, read(t, dir, "serve.err"))
	}
}
