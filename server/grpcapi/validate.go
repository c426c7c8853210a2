// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package grpcapi

import (
	"errors"

	"buf.build/go/protovalidate"
	"google.golang.org/protobuf/proto"

	"github.com/leatstream/leat"
	leatv1 "github.com/leatstream/leat/api/leat/v1"
)

// newValidator compiles the rules of the API's messages once.
func newValidator() (protovalidate.Validator, error) {
	return protovalidate.New(
		protovalidate.WithMessages(
			&leatv1.CreateStreamRequest{}, &leatv1.UpdateStreamRequest{}, &leatv1.ListShardsRequest{},
			&leatv1.PutRecordRequest{}, &leatv1.GetShardIteratorRequest{}, &leatv1.GetRecordsRequest{}, &leatv1.SubscribeToShardRequest{},
		),
		protovalidate.WithFailFast(),
	)
}

// validate returns InvalidArgument with the first member that breaks a rule and the rule's bound.
func (s *Server) validate(m proto.Message) error {
	if hot(m) {
		return nil
	}
	err := s.validator.Validate(m)
	if err == nil {
		return nil
	}
	var bad *protovalidate.ValidationError
	if !errors.As(err, &bad) || len(bad.Violations) == 0 {
		return leat.Errorf(leat.KindInternal, "validate %s: %w", m.ProtoReflect().Descriptor().FullName(), err)
	}
	v := bad.Violations[0].Proto
	field := protovalidate.FieldPathString(v.GetField())
	return leat.Invalid(field, "%s: %s", field, v.GetMessage())
}
