// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package broker

import (
	"context"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/server/catalog"
)

// ResourceRequest names what has tags and a policy: a stream, or one of its consumers.
type ResourceRequest struct {
	Stream   string // name or ARN
	Consumer string // its name; empty: the stream itself
	Created  int64  // when the consumer was made, in seconds since 1970, where its ARN is given: another time is KindNotFound
}

// resource finds what a request is about, through the look-up of a change or of a description.
func (b *Broker) resource(ctx context.Context, who leat.Principal, action Action, req ResourceRequest, look lookup) (catalog.Resource, *streamView, error) {
	if req.Consumer != "" {
		if err := leat.ValidateConsumerName(req.Consumer); err != nil {
			return catalog.Resource{}, nil, err
		}
	}
	var consumer []string
	if req.Consumer != "" {
		consumer = []string{req.Consumer}
	}
	v, err := look(ctx, who, action, req.Stream, consumer...)
	if err != nil {
		return catalog.Resource{}, nil, err
	}
	return catalog.Resource{Stream: v.ID, Consumer: req.Consumer, Created: req.Created}, v, nil
}

// lookup is changeable or described.
type lookup func(ctx context.Context, who leat.Principal, action Action, stream string, consumer ...string) (*streamView, error)

// Tag is a name and a value that an owner gave to a stream or a consumer.
type Tag = catalog.Tag

// validateTags has the rules of AWS for characters.
func validateTags(tags map[string]string) error {
	if len(tags) > leat.MaxTags {
		return leat.Invalid("tags", "%d tags are more than the %d that a stream or a consumer can have", len(tags), leat.MaxTags)
	}
	for name, value := range tags {
		if err := validateTagName(name); err != nil {
			return err
		}
		if utf8.RuneCountInString(value) > leat.MaxTagValue || !tagText(value) {
			return leat.Invalid(fmt.Sprintf("tags[%q]", name), "the value of tag %q must have up to %d letters, digits, spaces and _ . : / = + - %% @", name, leat.MaxTagValue)
		}
	}
	return nil
}

func validateTagName(name string) error {
	if n := utf8.RuneCountInString(name); n < 1 || n > leat.MaxTagName || !tagText(name) {
		return leat.Invalid("tags", "tag name %.160q must have 1 to %d letters, digits, spaces and _ . : / = + - %% @", name, leat.MaxTagName)
	}
	return nil
}

func tagText(s string) bool {
	if !utf8.ValidString(s) {
		return false
	}
	for _, c := range s {
		if !unicode.IsLetter(c) && !unicode.IsMark(c) && !unicode.IsDigit(c) && !unicode.IsSpace(c) && !strings.ContainsRune("_.:/=+-%@", c) {
			return false
		}
	}
	return true
}
