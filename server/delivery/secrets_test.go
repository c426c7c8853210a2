// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package delivery_test

import (
	"testing"

	"github.com/leatstream/leat/server/delivery"
	"github.com/leatstream/leat/server/delivery/spec"
)

// A change keeps the secrets that it does not give, unless what they are for is another. Those that it gives it keeps too, though
// they are the same as before.
func TestSecretsOfAChange(t *testing.T) {
	t.Parallel()
	bucket := func(endpoint, access string, secret spec.Secret) *spec.S3 {
		return &spec.S3{Bucket: "b", Endpoint: endpoint, AccessKey: access, SecretKey: secret}
	}
	asking := func(url string, key spec.Secret) spec.Transform {
		return spec.Transform{Kind: spec.HTTPCall, HTTP: &spec.HTTP{URL: url, AccessKey: key}}
	}
	jq := spec.Transform{Kind: spec.JQ, Query: "."}
	for name, c := range map[string]struct {
		from, to spec.Config
		want     map[string]spec.Secret
	}{
		"a bucket": {
			spec.Config{Destination: spec.Destination{S3: bucket("https://a", "id", "s")}, Backup: &spec.Backup{S3: *bucket("https://b", "id", "t")}},
			spec.Config{Destination: spec.Destination{S3: bucket("https://a", "id", "")}, Backup: &spec.Backup{S3: *bucket("https://b", "id", "")}},
			map[string]spec.Secret{"destination.s3.secret_key": "s", "backup.s3.secret_key": "t"},
		},
		"a bucket at another endpoint": {
			spec.Config{Destination: spec.Destination{S3: bucket("https://a", "id", "s")}},
			spec.Config{Destination: spec.Destination{S3: bucket("https://b", "id", "")}},
			map[string]spec.Secret{"destination.s3.secret_key": ""},
		},
		"a bucket at another endpoint, with the same secret": {
			spec.Config{Destination: spec.Destination{S3: bucket("https://a", "id", "s")}, Backup: &spec.Backup{S3: *bucket("https://a", "id", "s")}},
			spec.Config{Destination: spec.Destination{S3: bucket("https://b", "id", "s")}, Backup: &spec.Backup{S3: *bucket("https://b", "id", "s")}},
			map[string]spec.Secret{"destination.s3.secret_key": "s", "backup.s3.secret_key": "s"},
		},
		"another key": {
			spec.Config{Destination: spec.Destination{S3: bucket("https://a", "id", "s")}},
			spec.Config{Destination: spec.Destination{S3: bucket("https://a", "other", "")}},
			map[string]spec.Secret{"destination.s3.secret_key": ""},
		},
		"an endpoint": {
			spec.Config{Destination: spec.Destination{HTTP: &spec.HTTP{URL: "https://a", AccessKey: "s"}}},
			spec.Config{Destination: spec.Destination{HTTP: &spec.HTTP{URL: "https://a", Gzip: true}}},
			map[string]spec.Secret{"destination.http.access_key": "s"},
		},
		"another endpoint": {
			spec.Config{Destination: spec.Destination{HTTP: &spec.HTTP{URL: "https://a", AccessKey: "s"}}},
			spec.Config{Destination: spec.Destination{HTTP: &spec.HTTP{URL: "https://b"}}},
			map[string]spec.Secret{"destination.http.access_key": ""},
		},
		"another endpoint, with the same secret": {
			spec.Config{Destination: spec.Destination{HTTP: &spec.HTTP{URL: "https://a", AccessKey: "s"}}},
			spec.Config{Destination: spec.Destination{HTTP: &spec.HTTP{URL: "https://b", AccessKey: "s"}}},
			map[string]spec.Secret{"destination.http.access_key": "s"},
		},
		"a transform before another": {
			spec.Config{Transforms: []spec.Transform{asking("https://a", "s"), asking("https://b", "t")}},
			spec.Config{Transforms: []spec.Transform{jq, asking("https://b", ""), asking("https://a", ""), asking("https://c", "")}},
			map[string]spec.Secret{"transforms.1.http.access_key": "t", "transforms.2.http.access_key": "s", "transforms.3.http.access_key": ""},
		},
		"two transforms of one endpoint": {
			spec.Config{Transforms: []spec.Transform{asking("https://a", "s"), asking("https://a", "t")}},
			spec.Config{Transforms: []spec.Transform{asking("https://a", ""), jq, asking("https://a", "")}},
			map[string]spec.Secret{"transforms.0.http.access_key": "s", "transforms.2.http.access_key": "t"},
		},
	} {
		delivery.Inherit(&c.to, &c.from)
		got := c.to.Secrets()
		for member, want := range c.want {
			if is := got[member]; is == nil || *is != want {
				t.Errorf("%s: %s is %q, want %q", name, member, text(is), string(want))
			}
		}
	}
}

func text(s *spec.Secret) string {
	if s == nil {
		return "not there"
	}
	return string(*s)
}
