// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package kinesis

import (
	"strings"

	"github.com/leatstream/leat"
)

// stream returns the name or ARN of the stream that a request is about. Name and ARN MUST agree where both are given;
// an id is reserved, as it is with AWS.
func (h *Handler) stream(c *call, name, arn, id *string) (string, error) {
	if err := noID(id); err != nil {
		return "", err
	}
	switch {
	case name == nil && arn == nil:
		return "", leat.Invalid("StreamName", "Either StreamARN or StreamName must be provided.")
	case arn == nil:
		return strings.Clone(*name), nil // it may outlive the body that it stands in
	}
	_, account, named, err := leat.ParseStreamARN(*arn)
	if err != nil {
		return "", err
	}
	if name != nil && (*name != named || account != c.who.Account) {
		return "", leat.Invalid("StreamARN", "StreamARN and StreamName do not name the same stream")
	}
	return strings.Clone(*arn), nil
}

// noID refuses the member that AWS reserves, rather than to pass over what it may mean.
func noID(id *string) error {
	if id != nil {
		return leat.Invalid("StreamId", "StreamId is reserved for future use: name the stream by StreamName or StreamARN")
	}
	return nil
}
