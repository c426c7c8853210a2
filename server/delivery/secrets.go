// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package delivery

import (
	"slices"

	"github.com/leatstream/leat/server/delivery/spec"
)

// inherit keeps the secrets that a change does not give, where what they are for stays: a secret never goes to another place than
// it was given for. One that is given stays, whatever it is.
func inherit(to, from *spec.Config) {
	inheritS3(to.Destination.S3, from.Destination.S3)
	if to.Backup != nil && from.Backup != nil {
		inheritS3(&to.Backup.S3, &from.Backup.S3)
	}
	if a, b := to.Destination.HTTP, from.Destination.HTTP; a != nil && b != nil && a.URL == b.URL && a.AccessKey == "" {
		a.AccessKey = b.AccessKey
	}
	former := endpoints(from)
	for _, a := range endpoints(to) {
		at := slices.IndexFunc(former, func(b *spec.HTTP) bool { return a.URL == b.URL })
		if at < 0 {
			continue
		}
		if a.AccessKey == "" {
			a.AccessKey = former[at].AccessKey
		}
		former = slices.Delete(former, at, at+1) // another step that asks the same endpoint has the next
	}
}

func inheritS3(to, from *spec.S3) {
	if to != nil && from != nil && to.Endpoint == from.Endpoint && to.AccessKey == from.AccessKey && to.SecretKey == "" {
		to.SecretKey = from.SecretKey
	}
}

// endpoints are those that transforms ask, in their order.
func endpoints(c *spec.Config) (all []*spec.HTTP) {
	for i := range c.Transforms {
		if h := c.Transforms[i].HTTP; h != nil {
			all = append(all, h)
		}
	}
	return all
}
