// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package broker_test

import (
	"context"
	"strings"
	"testing"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/server/broker"
	"github.com/leatstream/leat/server/catalog"
)

// keyMaker makes keys that are not secret.
type keyMaker struct{ err error }

func (m keyMaker) Make(_ context.Context, s leat.StreamID) (catalog.StreamKey, error) {
	return catalog.StreamKey{ID: leat.NewID[leat.KeyID](nil), Stream: s, Wrapped: "wrapped"}, m.err
}

func (r *rig) described(stream string) leat.Stream {
	r.t.Helper()
	d, err := r.DescribeStream(r.t.Context(), who, broker.DescribeStreamRequest{Stream: stream})
	r.must(err)
	return d.Stream.Stream
}

func TestStreamEncryption(t *testing.T) {
	r := newRig(t, broker.LimitsOff)
	r.stream("s", 1)
	ctx := t.Context()
	r.must(r.StopStreamEncryption(ctx, who, "s")) // tolerated
	if s := r.described("s"); s.Status != leat.StreamActive || s.EncryptionKey != "" {
		t.Errorf("never encrypted: %+v", s)
	}
	kicks := r.kicks
	r.must(r.StartStreamEncryption(ctx, who, "s", "alias/aws/kinesis"))
	first := r.described("s")
	if first.Status != leat.StreamUpdating || first.EncryptionKey != "alias/aws/kinesis" || first.DataKey.IsZero() || r.kicks == kicks {
		t.Errorf("started: %+v", first)
	}
	if known, _ := r.Directory().Stream(first.ID); known.DataKey != first.DataKey {
		t.Errorf("this node knows %+v", known)
	}
	r.put("s", "k", "while it is UPDATING")
	r.wantKind(r.StartStreamEncryption(ctx, who, "s", "again"), leat.KindInUse, "")
	r.wantKind(r.StopStreamEncryption(ctx, who, "s"), leat.KindInUse, "")
	r.settle()
	for _, name := range []string{"alias/aws/kinesis", "arn:aws:kms:eu-west-1:000000000000:key/1"} {
		before := r.described("s")
		r.must(r.StartStreamEncryption(ctx, who, "s", name))
		r.settle()
		if s := r.described("s"); s.EncryptionKey != name || s.DataKey == before.DataKey || s.Status != leat.StreamActive {
			t.Errorf("another key: %+v", s)
		}
	}
	r.must(r.StopStreamEncryption(ctx, who, "s"))
	if s := r.described("s"); s.Status != leat.StreamUpdating || s.EncryptionKey != "" || !s.DataKey.IsZero() {
		t.Errorf("stopped: %+v", s)
	}
	r.must(r.StopStreamEncryption(ctx, who, "s")) // it is not encrypted any more
	r.settle()
}

func TestStreamEncryptionRefuses(t *testing.T) {
	r := newRig(t, broker.LimitsOff)
	r.stream("s", 1)
	ctx := t.Context()
	for _, key := range []string{"", strings.Repeat("a", 2049)} {
		r.wantKind(r.StartStreamEncryption(ctx, who, "s", key), leat.KindInvalidArgument, "key")
	}
	r.must(r.StartStreamEncryption(ctx, who, "s", strings.Repeat("ключ", 512)))
	r.wantKind(r.StartStreamEncryption(ctx, who, "none", "k"), leat.KindNotFound, "")
	r.wantKind(r.StopStreamEncryption(ctx, who, "none"), leat.KindNotFound, "")
	stranger := leat.Principal{Account: "999999999999", Name: "x"}
	arn := "arn:aws:kinesis:eu-west-1:" + who.Account + ":stream/s"
	r.wantKind(r.StartStreamEncryption(ctx, stranger, arn, "k"), leat.KindAccessDenied, "")
	r.wantKind(r.StopStreamEncryption(ctx, stranger, arn), leat.KindAccessDenied, "")
}

// A server without a master key says what to do, and changes nothing.
func TestNoMasterKeyNoStreamEncryption(t *testing.T) {
	for name, keys := range map[string]broker.StreamKeys{
		"none": nil, "without a master key": keyMaker{err: leat.Errorf(leat.KindUnsupported, "give it --master-key-file")},
	} {
		r := newRig(t, broker.LimitsOff, func(c *broker.Config) { c.StreamKeys = keys })
		r.stream("s", 1)
		err := r.StartStreamEncryption(t.Context(), who, "s", "k")
		r.wantKind(err, leat.KindUnsupported, "")
		if !strings.Contains(err.Error(), "--master-key-file") {
			t.Errorf("%s: %v", name, err)
		}
		if s := r.described("s"); s.Status != leat.StreamActive || s.EncryptionKey != "" {
			t.Errorf("%s: %+v", name, s)
		}
	}
}
