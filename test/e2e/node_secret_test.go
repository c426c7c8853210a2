// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package e2e_test

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/leatstream/leat/server/forward/internalv1"
	"github.com/leatstream/leat/test/e2e/rig"
)

// thief has read the database: what stands there in clear.
type thief struct {
	*testing.T
	n      *rig.Node
	secret []byte
}

func (t *thief) derive(info string) []byte {
	t.Helper()
	key, err := hkdf.Key(sha256.New, t.secret, nil, info, 32)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// node calls the engine as nodes do, and returns what it answers.
func (t *thief) node() codes.Code {
	t.Helper()
	conn, err := grpc.NewClient("passthrough:///"+t.n.GRPC, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }() // the answer is there
	at := fmt.Sprint(time.Now().Unix())
	mac := hmac.New(sha256.New, t.derive("leat node to node 1"))
	mac.Write([]byte("1\n" + at + "\n" + internalv1.EngineService_Bounds_FullMethodName))
	token := "1." + at + "." + hex.EncodeToString(mac.Sum(nil))
	ctx := metadata.AppendToOutgoingContext(t.Context(), "leat-node", token, "leat-node-sealed", token)
	id := make([]byte, 16)
	_, err = internalv1.NewEngineServiceClient(conn).Bounds(ctx, &internalv1.BoundsRequest{Session: id, Shard: &internalv1.Shard{Stream: id}})
	return status.Code(err)
}

// console asks for a page with a cookie for whoever a ticket says, and returns what it answers.
func (t *thief) console(ticket string) int {
	t.Helper()
	block, err := aes.NewCipher(t.derive("leat console session"))
	if err != nil {
		t.Fatal(err)
	}
	seal, err := cipher.NewGCM(block)
	if err != nil {
		t.Fatal(err)
	}
	nonce := make([]byte, seal.NonceSize())
	value := base64.RawURLEncoding.EncodeToString(seal.Seal(nonce, nonce, []byte(ticket), []byte("leat_session")))
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+t.n.HTTP+"/console/streams", http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	r.AddCookie(&http.Cookie{Name: "leat_session", Value: value})
	res, err := http.DefaultTransport.RoundTrip(r) // follows no redirection
	if err != nil {
		t.Fatal(err)
	}
	if err := res.Body.Close(); err != nil {
		t.Error(err)
	}
	return res.StatusCode
}

// Whoever reads PostgreSQL can neither call nodes as one of them, nor sign in to the console, where there is a master key. While a
// node lives beside that has no other secret, it is taken for one. A node without the master key does not start any more.
func TestWhoeverReadsPostgreSQLIsNobody(t *testing.T) {
	t.Parallel()
	b := rig.SharedBackend(t)
	n := rig.Serve(t, "one", b)
	n.Start(t)
	db, err := pgx.Connect(t.Context(), b.DSN)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.Close(context.WithoutCancel(t.Context())) }()
	row := func() (plain, wrapped string) {
		t.Helper()
		if err := db.QueryRow(t.Context(), "SELECT secret, node_secret FROM cluster").Scan(&plain, &wrapped); err != nil {
			t.Fatal(err)
		}
		return plain, wrapped
	}
	plain, wrapped := row()
	secret, err := hex.DecodeString(plain)
	if err != nil {
		t.Fatal(err)
	}
	by := &thief{T: t, n: n, secret: secret}
	if code := by.node(); code != codes.FailedPrecondition || wrapped != "" { // of the engine: it has no such session
		t.Errorf("without a master key, as docs/security.md tells: %s, %q", code, wrapped)
	}
	n.Stop(t)

	keys := masterKeyFile(t)
	n = rig.Serve(t, "one", b, "--master-key-file", keys)
	n.Start(t)
	by.n = n
	if _, wrapped = row(); !strings.HasPrefix(wrapped, "leat-wrapped-1:") {
		t.Errorf("the secret of nodes stands as %q", wrapped)
	}
	if code := by.node(); code != codes.Unauthenticated {
		t.Errorf("a node by what the database tells: %s", code)
	}
	ticket := fmt.Sprintf(`{"i":"me","k":%q,"e":%d}`, makeKey(t, n, "app").ID, time.Now().Add(time.Hour).Unix())
	if code := by.console(ticket); code != http.StatusSeeOther {
		t.Errorf("the console by what the database tells: %d", code)
	}

	for _, knows := range []int{0, 1} {
		if _, err := db.Exec(t.Context(), "UPDATE sessions SET node_secret = $1 WHERE state = 'live'", knows); err != nil {
			t.Fatal(err)
		}
		rig.Eventually(t, rig.Patience, "the node hears of it", func() error {
			if code := by.node(); (code == codes.Unauthenticated) != (knows == 1) {
				return errors.New(code.String())
			}
			return nil
		})
	}
	n.Stop(t)
	refused(t, rig.Run(t, b.Env(), "serve", "--http-addr", "127.0.0.1:0", "--grpc-addr", "127.0.0.1:0"), 1, "the nodes of this cluster know each other", "--master-key-file", "docs/encryption.md")
}
