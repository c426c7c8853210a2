// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package e2e_test

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/smithy-go"

	"github.com/leatstream/leat/test/e2e/rig"
)

// awsKey is an access key as `leat key create -o json` shows it.
type awsKey struct {
	ID     string `json:"id"`
	Secret string `json:"secret"`
	State  string `json:"state"`
}

// client is an SDK client of a node.
func (k awsKey) client(n *rig.Node, region string) *kinesis.Client {
	return kinesis.New(kinesis.Options{
		Region: region, BaseEndpoint: aws.String("http://" + n.HTTP), RetryMaxAttempts: 1,
		Credentials: aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
			return aws.Credentials{AccessKeyID: k.ID, SecretAccessKey: k.Secret}, nil
		}),
	})
}

// try makes one call and returns AWS's name of the error, or what else went wrong; empty when nothing did.
func (k awsKey) try(t *testing.T, n *rig.Node, region string) string {
	t.Helper()
	_, err := k.client(n, region).ListStreams(t.Context(), &kinesis.ListStreamsInput{})
	var e smithy.APIError
	if errors.As(err, &e) {
		return e.ErrorCode()
	}
	if err != nil {
		return err.Error()
	}
	return ""
}

// masterKeyFile has a new master key.
func masterKeyFile(t *testing.T) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "master.key")
	if err := os.WriteFile(file, []byte(rig.Must(t, nil, "master-key")), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// makeKey makes an access key.
func makeKey(t *testing.T, n *rig.Node, name string) (k awsKey) {
	t.Helper()
	if err := json.Unmarshal([]byte(rig.Must(t, n.Env(), "key", "create", name, "-o", "json")), &k); err != nil {
		t.Fatal(err)
	}
	return k
}

// A key that was made with the server's token signs requests on the AWS wire of every node, until it is taken away.
func TestAccessKeys(t *testing.T) {
	t.Parallel()
	b := rig.SharedBackend(t)
	file := masterKeyFile(t)
	one, two := rig.Serve(t, "one", b, "--master-key-file", file), rig.Serve(t, "two", b, "--master-key-file", file)
	one.Start(t)
	k, other := makeKey(t, one, "orders writer"), makeKey(t, one, "another")
	if got := k.try(t, one, "us-east-1"); got != "" {
		t.Fatalf("a new key: %s", got)
	}
	_, err := k.client(one, "us-east-1").CreateStream(t.Context(), &kinesis.CreateStreamInput{StreamName: aws.String("s"), ShardCount: aws.Int32(1)})
	if err != nil {
		t.Fatal(err)
	}
	if got := rig.Must(t, one.Env(), "stream", "list"); !strings.Contains(got, "s ") {
		t.Errorf("listed %s", got)
	}

	for what, c := range map[string]struct {
		key    awsKey
		region string
		want   string
	}{
		"another's secret": {awsKey{ID: k.ID, Secret: other.Secret}, "us-east-1", "InvalidSignatureException"},
		"an unknown key":   {awsKey{ID: "AKIAIOSFODNN7EXAMPLE", Secret: k.Secret}, "us-east-1", "UnrecognizedClientException"},
		"another region":   {k, "eu-west-1", "InvalidSignatureException"},
	} {
		if got := c.key.try(t, one, c.region); got != c.want {
			t.Errorf("%s: %q, want %s", what, got, c.want)
		}
	}
	for what, authorization := range map[string]string{"MissingAuthenticationTokenException": "", "IncompleteSignatureException": "Bearer " + b.Token} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+one.HTTP+"/", strings.NewReader("{}"))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("X-Amz-Target", "Kinesis_20131202.ListStreams")
		req.Header.Set("Content-Type", "application/x-amz-json-1.1")
		if authorization != "" {
			req.Header.Set("Authorization", authorization)
		}
		res, err := http.DefaultTransport.RoundTrip(req)
		if err != nil {
			t.Fatal(err)
		}
		if err := res.Body.Close(); err != nil {
			t.Error(err)
		}
		if got := res.Header.Get("X-Amzn-ErrorType"); res.StatusCode != http.StatusBadRequest || !strings.HasPrefix(got, what) {
			t.Errorf("%q: %s %s, want %s", authorization, res.Status, got, what)
		}
	}

	rig.Must(t, one.Env(), "key", "disable", k.ID)
	if got := k.try(t, one, "us-east-1"); got != "AccessDeniedException" {
		t.Errorf("a disabled key: %q", got)
	}
	rig.Must(t, one.Env(), "key", "enable", k.ID)
	if got := k.try(t, one, "us-east-1"); got != "" {
		t.Errorf("an enabled key: %q", got)
	}

	// After a restart, and on a node that takes over, keys are those that were made.
	one.Kill(t)
	two.Start(t)
	if got := k.try(t, two, "us-east-1"); got != "" {
		t.Errorf("elsewhere: %q", got)
	}
	rig.Must(t, two.Env(), "key", "delete", k.ID, "--yes")
	if got := k.try(t, two, "us-east-1"); got != "UnrecognizedClientException" {
		t.Errorf("a deleted key: %q", got)
	}
	if got := rig.Must(t, two.Env(), "key", "list"); strings.Contains(got, k.ID) || !strings.Contains(got, other.ID+"  another  ACTIVE") {
		t.Errorf("listed %s", got)
	}
	for _, n := range []*rig.Node{one, two} {
		for _, secret := range []string{k.Secret, other.Secret, b.Token} {
			if strings.Contains(n.Log(), secret) {
				t.Errorf("the log of %s shows a secret", n.Name)
			}
		}
	}
	two.Stop(t)
	b.Check(t)
}

// A node that does not own the database's shards sees a key that another one disables within seconds.
func TestAccessKeysAreFollowed(t *testing.T) {
	t.Parallel()
	b := rig.SharedBackend(t)
	file := masterKeyFile(t)
	one, two := rig.Serve(t, "one", b, "--master-key-file", file), rig.Serve(t, "two", b, "--master-key-file", file)
	one.Start(t)
	two.Launch(t) // it stands by
	k := makeKey(t, one, "app")
	until := func(want string) {
		t.Helper()
		rig.Eventually(t, rig.Patience, "the other node says "+want, func() error {
			if got := k.try(t, two, "us-east-1"); got != want {
				return errors.New(got)
			}
			return nil
		})
	}
	until("")
	rig.Must(t, one.Env(), "key", "disable", k.ID)
	until("AccessDeniedException")
	rig.Must(t, one.Env(), "key", "delete", k.ID, "--yes")
	until("UnrecognizedClientException")
}

// Without a master key no secret is taken in.
func TestNoAccessKeysWithoutAMasterKey(t *testing.T) {
	t.Parallel()
	b := rig.SharedBackend(t)
	n := rig.Serve(t, "node", b)
	n.Start(t)
	refused(t, rig.Run(t, n.Env(), "key", "create", "app"), 1, "--master-key-file", "leat master-key")
	if got := (awsKey{ID: "AKIAIOSFODNN7EXAMPLE", Secret: "x"}).try(t, n, "us-east-1"); got != "UnrecognizedClientException" {
		t.Errorf("the AWS wire answers %q", got)
	}
}
