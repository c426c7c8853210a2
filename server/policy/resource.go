// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"strings"

	"github.com/leatstream/leat"
)

// Resource is what an action is done to: a stream, one of its consumers, something else of an account by its path, or with
// none of these the account at large.
type Resource struct {
	Account  string
	Stream   string
	ID       leat.StreamID // the stream's, where it is known: its policy and its tags are found by it
	Consumer string        // of the stream
	Path     string        // SERVICE:PATH of what is no stream, such as leat:role/reader
}

// ARN is how policies name a resource; * for the account at large.
func (r *Resource) ARN(region string) string {
	switch {
	case r.Stream != "" && r.Consumer != "":
		return "arn:aws:kinesis:" + region + ":" + r.Account + ":stream/" + r.Stream + "/consumer/" + r.Consumer
	case r.Stream != "":
		return "arn:aws:kinesis:" + region + ":" + r.Account + ":stream/" + r.Stream
	case r.Path == "":
		return "*"
	}
	service, path, _ := strings.Cut(r.Path, ":")
	return "arn:aws:" + service + ":" + region + ":" + r.Account + ":" + path
}
