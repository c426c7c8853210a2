// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package console_test

import (
	"context"
	"html"
	"os/exec"
	"regexp"
	"strings"
	"testing"

	leatv1 "github.com/leatstream/leat/api/leat/v1"
)

var snippet = regexp.MustCompile(`(?s)<pre id="snippet-(\w+)"[^>]*>(.*?)</pre>`)

// What "Copy as" gives works as it stands: each curl and each SDK snippet is run against the server that gave it.
func TestSnippetsWork(t *testing.T) {
	w := newWorld(t)
	w.create(t, "orders", 2)
	for range 20 {
		w.putOne(t, "orders", "k", []byte("hello"))
	}
	if _, err := w.client.Resources.PutResourcePolicy(t.Context(), &leatv1.PutResourcePolicyRequest{Stream: "orders", Policy: `{"Version":"2012-10-17","Statement":
		{"Effect":"Allow","Principal":{"AWS":"222222222222"},"Action":"kinesis:GetRecords","Resource":"*"}}`}); err != nil {
		t.Fatal(err)
	}
	w.stuck(t, "lake", "orders")
	v := newVisitor(t, w.HTTP)
	record := v.link("/console/streams/orders/data", "/console/streams/orders/data/")
	run := map[string]int{}
	for path, says := range map[string]string{
		"/console/streams": "orders", "/console/streams/new": "", "/console/streams/orders": "", "/console/streams/orders/shards": "shardId-000000000001", "/console/streams/orders/shards/0": "",
		"/console/streams/orders/data?from=oldest&shard=1": "", record: "k", "/console/streams/orders/consumers": "", "/console/streams/orders/access": "222222222222",
		"/console/streams/orders/scaling": "", "/console/deliveries": "lake", "/console/deliveries/lake": "lake", "/console/usage": "", "/console/audit": "", "/console/roles": "",
		"/console/health": "leat_", "/console/nodes": "dev", "/console/keys": "", "/console/streams/orders/tail": "",
	} {
		p := v.get(path)
		p.is(t, 200)
		if strings.Contains(p.body, "leat.invalid") {
			t.Errorf("%s does not say where the server is", path)
		}
		for _, m := range snippet.FindAllStringSubmatch(p.body, -1) {
			kind, text := m[1], html.UnescapeString(m[2])
			var cmd *exec.Cmd
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			switch kind {
			case "curl":
				text = strings.ReplaceAll(text, "curl -s ", "curl -sS --fail-with-body ")
				cmd = exec.CommandContext(ctx, "bash", "-euo", "pipefail", "-c", text)
			case "sdk":
				if strings.Contains(text, "while its") { // it follows for ever
					text = strings.Replace(text, "while its:", "for _ in range(2):", 1)
				}
				cmd = exec.CommandContext(ctx, "/usr/bin/python3", "-c", text)
			default:
				cancel()
				continue
			}
			cmd.Env = []string{"PATH=/usr/local/bin:/usr/bin:/bin", "AWS_ACCESS_KEY_ID=x", "AWS_SECRET_ACCESS_KEY=x", "LEAT_TOKEN=x", "HOME=" + t.TempDir()}
			out, err := cmd.CombinedOutput()
			cancel()
			run[kind]++
			// What another snippet has made is there, and Debian's boto3 is older than one operation.
			fine := strings.Contains(string(out), "ResourceInUse") || strings.Contains(string(out), "IN_USE") || strings.Contains(string(out), "no attribute 'get_resource_policy'")
			if err != nil && !fine {
				t.Errorf("the %s of %s: %v\n%s\n%.1000s", kind, path, err, text, out)
			} else if kind == "curl" && err == nil && !strings.Contains(string(out), says) {
				t.Errorf("the %s of %s does not say %q: %.1000s", kind, path, says, out)
			}
		}
	}
	if run["curl"] < 14 || run["sdk"] < 10 {
		t.Errorf("snippets that were run: %v", run)
	}
}
