// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package forward

import (
	"context"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/leatstream/leat"
)

// The metadata that says that a call comes from a node of the cluster: by the secret that stands in the database in clear, and by
// the one that stands there wrapped under the master key alone.
const (
	tokenKey       = "leat-node"
	sealedTokenKey = "leat-node-sealed"
)

// tokenSkew is how far a token's time may be from the receiver's clock. Nodes whose clocks are a second apart take no
// puts (data-plane.md, rule 19); this leaves room for calls that wait for a connection.
const tokenSkew = 30 * time.Second

// Credentials make and check the token of a call: its method and time, signed with a key that is derived from a secret of the
// cluster. Who reads one off a network without TLS can make calls of that method for half a minute.
type Credentials struct {
	name   string // of the metadata
	key    []byte
	clock  leat.Clock
	former *Credentials // that other nodes may have alone; nil: none
	lives  func() bool  // such a node does
}

// NewCredentials derives the key from the secret that stands in the database in clear, 16 bytes or more: whoever reads that is
// taken for a node. It is for clusters without a master key.
func NewCredentials(secret []byte, clock leat.Clock) (*Credentials, error) {
	return derive(tokenKey, secret, clock)
}

// NewSealedCredentials derives the key from a secret that the database does not have in clear. Nodes of former versions, and those
// without a master key, know the former secret alone: calls bring a token of it too, and one that brings nothing else is taken
// while lives says that there is such a node.
func NewSealedCredentials(secret, former []byte, lives func() bool, clock leat.Clock) (*Credentials, error) {
	c, err := derive(sealedTokenKey, secret, clock)
	if err != nil {
		return nil, err
	}
	c.lives = lives
	c.former, err = NewCredentials(former, clock)
	return c, err
}

func derive(name string, secret []byte, clock leat.Clock) (*Credentials, error) {
	if len(secret) < 16 {
		return nil, leat.Errorf(leat.KindInvalidArgument, "forward: the cluster's secret must have 16 bytes or more")
	}
	key, err := hkdf.Key(sha256.New, secret, nil, "leat node to node 1", sha256.Size)
	if err != nil {
		return nil, fmt.Errorf("derive the key between nodes: %w", err)
	}
	return &Credentials{name: name, key: key, clock: clock}, nil
}

// sign returns version.seconds.signature.
func (c *Credentials) sign(method string, seconds int64) string {
	at := strconv.FormatInt(seconds, 10)
	return "1." + at + "." + hex.EncodeToString(c.mac(method, at))
}

func (c *Credentials) mac(method, at string) []byte {
	m := hmac.New(sha256.New, c.key)
	_, _ = m.Write([]byte("1\n" + at + "\n" + method)) // a hash never fails
	return m.Sum(nil)
}

// Check returns an Unauthenticated status unless a call brings a good token for its method.
func (c *Credentials) Check(ctx context.Context, method string) error {
	err := c.check(ctx, method)
	if err != nil && c.former != nil && c.lives() {
		return c.former.check(ctx, method)
	}
	return err
}

func (c *Credentials) check(ctx context.Context, method string) error {
	given := metadata.ValueFromIncomingContext(ctx, c.name)
	if len(given) != 1 {
		return refused("the call has no token of a node")
	}
	version, rest, _ := strings.Cut(given[0], ".")
	at, signature, _ := strings.Cut(rest, ".")
	mac, err := hex.DecodeString(signature)
	if version != "1" || err != nil || !hmac.Equal(mac, c.mac(method, at)) {
		return refused("the token is not of this cluster")
	}
	seconds, err := strconv.ParseInt(at, 10, 64)
	if err != nil || c.clock.Now().Sub(time.Unix(seconds, 0)).Abs() > tokenSkew {
		return refused("the token is too old or too new: compare the clocks of the nodes")
	}
	return nil
}

func refused(why string) error {
	return status.Error(codes.Unauthenticated, "between nodes: "+why)
}

// GetRequestMetadata signs a call that this node makes.
func (c *Credentials) GetRequestMetadata(ctx context.Context, _ ...string) (map[string]string, error) {
	info, _ := credentials.RequestInfoFromContext(ctx)
	now := c.clock.Now().Unix()
	tokens := map[string]string{c.name: c.sign(info.Method, now)}
	if c.former != nil {
		tokens[c.former.name] = c.former.sign(info.Method, now)
	}
	return tokens, nil
}

// RequireTransportSecurity returns false: TLS is the cluster's to choose, and the token tells no secret.
func (c *Credentials) RequireTransportSecurity() bool { return false }
