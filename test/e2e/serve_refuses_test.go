// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package e2e_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/leatstream/leat/internal/testproc"
	"github.com/leatstream/leat/test/e2e/rig"
)

// with returns an environment in which some variables have other values; an empty value takes the variable away.
func with(env []string, changes ...string) []string {
	out := slices.Clone(env)
	for _, c := range changes {
		name, value, _ := strings.Cut(c, "=")
		out = slices.DeleteFunc(out, func(v string) bool { return strings.HasPrefix(v, name+"=") })
		if value != "" {
			out = append(out, c)
		}
	}
	return out
}

// What is wrong at the start is said on one line that names the flag and what to do, and shows no secret.
func TestServeRefuses(t *testing.T) {
	t.Parallel()
	b := rig.SharedBackend(t)
	nobody, err := testproc.ReservePort()
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := nobody.Release(); err != nil {
			t.Error(err)
		}
	}()
	const password = "password-that-nobody-may-print"
	secrets := []string{b.Token, b.S3.SecretKey, password, "short-secret", "wrong-secret-key"}
	for _, tc := range []struct {
		about string
		env   []string
		args  []string
		code  int
		want  []string
	}{
		{"nothing given", []string{}, nil, 2, []string{"--postgres", "--s3-endpoint", "--s3-bucket", "give"}},
		{"an address that others reach, without a token", with(b.Env(), "LEAT_TOKEN="), []string{"--http-addr", "0.0.0.0:0"}, 2, []string{"--token", "0.0.0.0:0", "LEAT_TOKEN", "127.0.0.1"}},
		{"an address for other nodes that is none", b.Env(), []string{"--advertise-address", "0.0.0.0:4568"}, 2, []string{"--advertise-address", "0.0.0.0:4568", "node-1.example.com:4568"}},
		{"a short token", with(b.Env(), "LEAT_TOKEN=short-secret"), nil, 2, []string{"--token", "16 characters"}},
		{"no database server", with(b.Env(), "LEAT_POSTGRES=postgres://leat:"+password+"@"+nobody.Addr()+"/leat"), nil, 1, []string{"--postgres", nobody.Addr()[:9]}},
		{"no such database", with(b.Env(), "LEAT_POSTGRES="+b.PG.DSN("missing")), nil, 1, []string{"--postgres", "missing"}},
		{"no DSN", with(b.Env(), "LEAT_POSTGRES=://"+password), nil, 1, []string{"--postgres"}},
		{"no such bucket", with(b.Env(), "LEAT_S3_BUCKET=missing-bucket"), nil, 1, []string{"--s3-bucket", "missing-bucket"}},
		{"a wrong secret key", with(b.Env(), "LEAT_S3_SECRET_KEY=wrong-secret-key"), nil, 1, []string{"--s3-", b.Bucket}},
		{"half a credential", with(b.Env(), "LEAT_S3_SECRET_KEY="), nil, 2, []string{"--s3-secret-key", "--s3-access-key"}},
		{"no object store", with(b.Env(), "LEAT_S3_ENDPOINT=http://"+nobody.Addr()), nil, 1, []string{"--s3-", nobody.Addr()}},
		{"an endpoint without a scheme", with(b.Env(), "LEAT_S3_ENDPOINT="+b.S3.Endpoint), nil, 2, []string{"--s3-endpoint", "http://"}},
	} {
		t.Run(tc.about, func(t *testing.T) {
			args := []string{"serve", "--http-addr", "127.0.0.1:0", "--grpc-addr", "127.0.0.1:0"}
			r := rig.Run(t, tc.env, append(args, tc.args...)...)
			refused(t, r, tc.code, tc.want...)
			for _, s := range secrets {
				if strings.Contains(r.Stdout+r.Stderr, s) {
					t.Errorf("it prints the secret %s:\n%s%s", s, r.Stdout, r.Stderr)
				}
			}
			t.Log(strings.TrimSpace(r.Stderr))
		})
	}
}
