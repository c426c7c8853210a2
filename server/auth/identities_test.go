// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package auth_test

import (
	"context"
	"errors"
	"log/slog"
	"net/netip"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/internal/sqldb"
	"github.com/leatstream/leat/server/auth"
	"github.com/leatstream/leat/server/catalog"
	"github.com/leatstream/leat/server/policy"
)

// reachable is a catalog that can be cut off.
type reachable struct {
	*catalog.Catalog
	away  atomic.Bool
	reads atomic.Int64 // that found something new
}

func (r *reachable) Identity(ctx context.Context, since uint64) (catalog.Identity, bool, error) {
	if r.away.Load() {
		return catalog.Identity{}, false, errors.New("away")
	}
	all, fresh, err := r.Catalog.Identity(ctx, since)
	if fresh {
		r.reads.Add(1)
	}
	return all, fresh, err
}

type identities struct {
	*auth.Identities
	t       *testing.T
	catalog *reachable
	clock   *clock
	tags    map[string]string // of the delivery stream hose
	reads   int               // of them
	during  func()            // a read of them; nil: nothing
}

func (i *identities) tagsOf(_ context.Context, of, name string) (map[string]string, error) {
	i.reads++
	if i.during != nil {
		i.during()
	}
	if i.catalog.away.Load() {
		return nil, errors.New("away")
	}
	if of != account || name != "hose" {
		return nil, leat.Errorf(leat.KindNotFound, "there is none")
	}
	return i.tags, nil
}

func newIdentities(t *testing.T) *identities {
	t.Helper()
	db, err := sqldb.Open(t.Context(), sqldb.Config{SQLite: filepath.Join(t.TempDir(), "catalog.db")})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	i := &identities{t: t, clock: &clock{now: noon}, catalog: &reachable{Catalog: catalog.New(db, catalog.Options{})}}
	i.must(i.catalog.Migrate(t.Context()))
	i.Identities = i.another()
	for _, id := range []string{account, "210987654321"} {
		_, err := i.catalog.CreateAccount(t.Context(), leat.Account{ID: id, Name: "test"})
		i.must(err)
	}
	return i
}

// another is another node's.
func (i *identities) another() *auth.Identities {
	i.t.Helper()
	made, err := auth.NewIdentities(auth.IdentitiesOptions{Catalog: i.catalog, Region: "eu-west-1", Clock: i.clock, Tags: i.tagsOf})
	i.must(err)
	return made
}

func (i *identities) must(err error) {
	i.t.Helper()
	if err != nil {
		i.t.Fatal(err)
	}
}

func (i *identities) role(name, statement string) {
	i.t.Helper()
	_, err := i.catalog.PutRole(i.t.Context(), leat.Role{Account: account, Name: name, Policy: `{"Version":"2012-10-17","Statement":` + statement + `}`})
	i.must(err)
	i.Changed(i.t.Context())
}

func (i *identities) may(by *auth.Identities, who leat.Principal, action policy.Action, what policy.Resource) bool {
	i.t.Helper()
	err := by.Authorize(i.t.Context(), who, action, what)
	if err != nil && leat.KindOf(err) != leat.KindAccessDenied {
		i.t.Fatal(err)
	}
	return err == nil
}

const allowPuts = `{"Effect":"Allow","Action":"kinesis:PutRecord","Resource":"*"}`

func TestDecisionsFollowPolicies(t *testing.T) {
	i := newIdentities(t)
	who := leat.Principal{Account: account, Name: "app", Role: "writer"}
	orders := policy.Resource{Account: account, Stream: "orders"}
	ask := func(want bool) {
		t.Helper()
		for range 3 { // from the cache too
			if got := i.may(i.Identities, who, "PutRecord", orders); got != want {
				t.Fatalf("may put: %v", got)
			}
		}
	}
	ask(false)
	i.role("writer", allowPuts)
	ask(true)
	i.role("writer", `[`+allowPuts+`,{"Effect":"Deny","Action":"*","Resource":"arn:aws:kinesis:*:*:stream/orders"}]`)
	ask(false)
	i.role("writer", `{"Effect":"Allow","Action":"*","Resource":"*","Condition":{"IpAddress":{"aws:SourceIp":"10.0.0.0/8"}}}`)
	ask(false)
	who.Origin.Source = netip.MustParseAddr("10.9.8.7")
	ask(true)
	who.Origin.Source = netip.MustParseAddr("11.9.8.7")
	ask(false)
}

// Policies that were put before members that are there twice were refused hold as they did: their Denies above all.
func TestPoliciesOfBefore(t *testing.T) {
	i := newIdentities(t)
	ctx := t.Context()
	stream, err := i.catalog.CreateStream(ctx, catalog.NewStream{Account: account, Name: "orders", Mode: leat.ModeProvisioned, Shards: 1, Retention: 24 * time.Hour, MaxRecordBytes: 1 << 20})
	i.must(err)
	i.must(i.catalog.ActivateStream(ctx, stream.ID))
	i.must(i.catalog.PutPolicy(ctx, catalog.Resource{Stream: stream.ID}, `{"Version":"2012-10-17","Statement":[
		{"Effect":"Deny","Principal":"*","Action":"kinesis:GetRecords","Action":"kinesis:PutRecord","Resource":"*"},
		{"Effect":"Allow","Principal":{"AWS":"210987654321"},"Action":"kinesis:DescribeStreamSummary","Resource":"*"}]}`))
	var said strings.Builder
	node, err := auth.NewIdentities(auth.IdentitiesOptions{Catalog: i.catalog, Region: "eu-west-1", Clock: i.clock, Logger: slog.New(slog.NewTextHandler(&said, nil))})
	i.must(err)
	node.Changed(ctx)
	orders := policy.Resource{Account: account, Stream: "orders", ID: stream.ID}
	for _, tc := range []struct {
		account string
		action  policy.Action
		want    bool
	}{
		{account, "PutRecord", false}, {account, "GetRecords", true}, {account, "DeleteStream", true}, {"210987654321", "DescribeStreamSummary", true},
	} {
		if got := i.may(node, leat.Principal{Account: tc.account}, tc.action, orders); got != tc.want {
			t.Errorf("%s may %s: %v", tc.account, tc.action, got)
		}
	}
	if !strings.Contains(said.String(), stream.ID.String()) || !strings.Contains(said.String(), "Action") {
		t.Errorf("the log does not name it: %q", &said)
	}
}

// A policy that goes by tags goes by those of delivery streams too, which are read for it alone.
func TestTagsOfDeliveries(t *testing.T) {
	i := newIdentities(t)
	i.role("open", `{"Effect":"Allow","Action":"firehose:*","Resource":"*"}`)
	i.role("tagged", `{"Effect":"Allow","Action":"firehose:*","Resource":"*","Condition":{"StringEquals":{"aws:ResourceTag/team":"search"}}}`)
	i.tags = map[string]string{"team": "search"}
	may := func(role, delivery string) bool {
		t.Helper()
		return i.may(i.Identities, leat.Principal{Account: account, Role: role}, "PutDeliveryRecords", policy.Resource{Account: account, Path: "firehose:deliverystream/" + delivery})
	}
	if !may("open", "hose") || i.reads != 0 {
		t.Errorf("tags that nobody asks for were read %d times", i.reads)
	}
	for range 3 {
		if !may("tagged", "hose") || may("tagged", "other") {
			t.Error("the policy does not go by the tags")
		}
	}
	if i.reads != 2 {
		t.Errorf("the tags of two delivery streams were read %d times", i.reads)
	}
	i.tags = nil
	i.Changed(t.Context())
	if may("tagged", "hose") {
		t.Error("what this node changes does not hold")
	}
	i.tags = map[string]string{"team": "search"}
	i.clock.advance(5 * time.Second)
	if !may("tagged", "hose") {
		t.Error("what another node changes does not hold")
	}
	i.catalog.away.Store(true)
	i.clock.advance(time.Minute)
	if !may("tagged", "hose") {
		t.Error("what is known does not outlive the catalog")
	}
	err := i.Authorize(t.Context(), leat.Principal{Account: account, Role: "tagged"}, "PutDeliveryRecords", policy.Resource{Account: account, Path: "firehose:deliverystream/new"})
	if leat.KindOf(err) != leat.KindUnavailable || err == nil {
		t.Errorf("tags that cannot be read: %v", err)
	}
}

// While one caller waits for tags that take long to be read, others have what is known, or can go away; a read that failed is not
// repeated by each.
func TestTagsThatTakeLongToRead(t *testing.T) {
	i := newIdentities(t)
	i.role("tagged", `{"Effect":"Allow","Action":"firehose:*","Resource":"*","Condition":{"StringEquals":{"aws:ResourceTag/team":"search"}}}`)
	i.tags = map[string]string{"team": "search"}
	ask := func(ctx context.Context) error {
		return i.Authorize(ctx, leat.Principal{Account: account, Role: "tagged"}, "PutDeliveryRecords", policy.Resource{Account: account, Path: "firehose:deliverystream/hose"})
	}
	i.catalog.away.Store(true)
	i.during = func() { i.clock.advance(5 * time.Second) }
	for range 3 {
		if err := ask(t.Context()); leat.KindOf(err) != leat.KindUnavailable || err == nil {
			t.Errorf("tags that nobody knows: %v", err)
		}
	}
	if i.reads != 1 {
		t.Errorf("a read that took long and failed was repeated %d times", i.reads-1)
	}

	begun, end, done := make(chan struct{}), make(chan struct{}), make(chan error, 1)
	i.during = func() { begun <- struct{}{}; <-end }
	read := func() {
		t.Helper()
		i.clock.advance(time.Minute)
		go func() { done <- ask(t.Context()) }()
		<-begun
	}
	finish := func() {
		t.Helper()
		end <- struct{}{}
		i.must(<-done)
	}
	gone, leave := context.WithCancel(t.Context())
	leave()
	i.catalog.away.Store(false)
	read()
	if err := ask(gone); leat.KindOf(err) != leat.KindCanceled || err == nil {
		t.Errorf("whoever went away while tags are read for the first time: %v", err)
	}
	finish()
	read()
	if err := ask(gone); err != nil {
		t.Errorf("while what is known is read again: %v", err)
	}
	i.Changed(t.Context())
	if err := ask(gone); leat.KindOf(err) != leat.KindCanceled || err == nil {
		t.Errorf("after a change of this node, what was known holds: %v", err)
	}
	finish()
}

func TestWhatIsKnownOutlivesTheCatalog(t *testing.T) {
	i := newIdentities(t)
	i.role("writer", allowPuts)
	_, token, err := i.CreateToken(t.Context(), leat.Token{Account: account, Name: "app", Role: "writer"})
	i.must(err)
	node := i.another()
	bearers := &auth.Bearers{Identities: node}
	node.Changed(t.Context())
	i.catalog.away.Store(true)
	i.clock.advance(time.Hour)
	node.Changed(t.Context())
	who, err := bearers.Authenticate("Bearer " + token)
	if err != nil || who.Account != account || who.Role != "writer" || who.Credential == "" {
		t.Fatalf("%+v, %v", who, err)
	}
	if !i.may(node, who, "PutRecord", policy.Resource{Account: account, Stream: "s"}) || i.may(node, who, "GetRecords", policy.Resource{Account: account, Stream: "s"}) {
		t.Error("decisions changed when the catalog went away")
	}
	// A token that is not known cannot be told from one that was made a moment ago.
	if _, err := bearers.Authenticate("Bearer " + token[:len(token)-43] + strings.Repeat("x", 43)); leat.KindOf(err) != leat.KindUnauthenticated {
		t.Errorf("a known token with another secret: %v", err)
	}
	if _, err := bearers.Authenticate("Bearer leat_AAAAAAAAAAAAAAAA_" + strings.Repeat("x", 43)); leat.KindOf(err) != leat.KindUnavailable {
		t.Errorf("an unknown token: %v", err)
	}
	fresh := i.another()
	if err := fresh.Authorize(t.Context(), who, "PutRecord", policy.Resource{Account: account}); leat.KindOf(err) != leat.KindUnavailable {
		t.Errorf("a node that knows nothing: %v", err)
	}
}

func TestTokens(t *testing.T) {
	i := newIdentities(t)
	ctx := t.Context()
	other := &auth.Bearers{Identities: i.another()}
	i.must(errOf(other.Identities.Account(ctx, account))) // it has read everything before the token comes
	made, token, err := i.CreateToken(ctx, leat.Token{Account: account, Name: "app", Expires: noon.Add(time.Hour)})
	i.must(err)
	i.clock.advance(time.Second)
	if who, err := other.Authenticate("Bearer " + token); err != nil || who.Credential != made.ID {
		t.Fatalf("on another node, at once: %v, %v", who, err)
	}
	stored, _, err := i.catalog.Catalog.Identity(ctx, 0)
	i.must(err)
	for _, s := range stored.Tokens {
		if strings.Contains(s.Hash, token) || len(s.Hash) != 64 {
			t.Errorf("stored as %q", s.Hash)
		}
	}
	i.clock.advance(time.Hour)
	if _, err := other.Authenticate("Bearer " + token); leat.KindOf(err) != leat.KindUnauthenticated {
		t.Errorf("expired: %v", err)
	}
	if _, _, err := i.CreateToken(ctx, leat.Token{Account: account, Name: "app", Role: "none"}); leat.KindOf(err) != leat.KindNotFound {
		t.Errorf("with a role that is not there: %v", err)
	}
	_, lasting, err := i.CreateToken(ctx, leat.Token{Account: account, Name: "app"})
	i.must(err)
	who, err := (&auth.Bearers{Identities: i.Identities}).Authenticate("bearer  " + lasting)
	i.must(err)
	i.must(i.catalog.DeleteToken(ctx, account, who.Credential))
	i.Changed(ctx)
	if _, err := (&auth.Bearers{Identities: i.Identities, Open: true}).Authenticate("Bearer " + lasting); leat.KindOf(err) != leat.KindUnauthenticated {
		t.Errorf("a deleted token where anybody may come: %v", err)
	}
}

func errOf[T any](_ T, err error) error { return err }

func TestBearers(t *testing.T) {
	i := newIdentities(t)
	ctx := t.Context()
	boot, err := auth.NewBootstrap(token, "")
	i.must(err)
	b := &auth.Bearers{Identities: i.Identities, Bootstrap: boot}
	who, err := b.Authenticate("Bearer " + token)
	if err != nil || !who.Operator {
		t.Fatalf("%v, %v", who, err)
	}
	if who, err = b.ActFor(ctx, who, account); err != nil || who.Account != account || !who.Operator {
		t.Errorf("%v, %v", who, err)
	}
	for _, tc := range []struct {
		who     leat.Principal
		account string
		want    leat.Kind
	}{
		{who, "999999999999", leat.KindNotFound},
		{who, "12", leat.KindInvalidArgument},
		{leat.Principal{Account: account, Name: "app"}, "210987654321", leat.KindAccessDenied},
	} {
		if _, err := b.ActFor(ctx, tc.who, tc.account); leat.KindOf(err) != tc.want {
			t.Errorf("%v for %s: %v", tc.who, tc.account, err)
		}
	}
	if own, err := b.ActFor(ctx, leat.Principal{Account: account}, account); err != nil || own.Account != account {
		t.Errorf("for its own: %v, %v", own, err)
	}
	for _, bad := range []string{"", "Bearer wrong-token-of-nobody", "Basic " + token} {
		if _, err := b.Authenticate(bad); leat.KindOf(err) != leat.KindUnauthenticated {
			t.Errorf("%q: %v", bad, err)
		}
		if who, err := (&auth.Bearers{Identities: i.Identities, Open: true}).Authenticate(bad); err != nil || !who.Operator {
			t.Errorf("%q where anybody may come: %v, %v", bad, who, err)
		}
	}
}

func BenchmarkAuthorize(b *testing.B) {
	db, err := sqldb.Open(b.Context(), sqldb.Config{SQLite: filepath.Join(b.TempDir(), "catalog.db")})
	if err != nil {
		b.Fatal(err)
	}
	defer db.Close()
	cat := catalog.New(db, catalog.Options{})
	if err := cat.Migrate(b.Context()); err != nil {
		b.Fatal(err)
	}
	i, err := auth.NewIdentities(auth.IdentitiesOptions{Catalog: cat, Region: "eu-west-1"})
	if err != nil {
		b.Fatal(err)
	}
	if _, err := cat.PutRole(b.Context(), leat.Role{Account: leat.DevAccount, Name: "writer", Policy: `{"Version":"2012-10-17","Statement":` + allowPuts + `}`}); err != nil {
		b.Fatal(err)
	}
	for name, who := range map[string]leat.Principal{
		"root": {Account: leat.DevAccount}, "role": {Account: leat.DevAccount, Role: "writer"},
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if err := i.Authorize(b.Context(), who, "PutRecord", policy.Resource{Account: leat.DevAccount, Stream: "orders"}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
