// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package delivery

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/leatstream/leat"
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

// demand refuses a change that leaves out a secret of which what is kept cannot be read, and why.
func demand(to, from *spec.Config, why error) error {
	anew := func(member string) error {
		return leat.Invalid(member, "%s must be given anew (any text, where none is asked for): what is kept of it cannot be read: %v", member, why)
	}
	if s := to.Destination.S3; s != nil && s.AccessKey != "" && s.SecretKey == "" {
		return anew("destination.s3.secret_key")
	}
	if b := to.Backup; b != nil && b.S3.AccessKey != "" && b.S3.SecretKey == "" {
		return anew("backup.s3.secret_key")
	}
	if a, b := to.Destination.HTTP, from.Destination.HTTP; a != nil && b != nil && a.URL == b.URL && a.AccessKey == "" {
		return anew("destination.http.access_key")
	}
	for i := range to.Transforms {
		h := to.Transforms[i].HTTP
		if h != nil && h.AccessKey == "" && slices.ContainsFunc(endpoints(from), func(b *spec.HTTP) bool { return b.URL == h.URL }) {
			return anew(fmt.Sprintf("transforms[%d].http.access_key", i))
		}
	}
	return nil
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

// config returns the configuration that a plan was made with, to carry it out or to look at what it wrote: with what renew takes
// from the present one. So secrets that cannot be opened any more do no harm where they have been given anew.
func (e *Engine) config(ctx context.Context, delivery, track string, version uint64) (spec.Config, error) {
	c, err := e.tables.config(ctx, delivery, track, version)
	if _, ok := errors.AsType[*secretsError](err); err != nil && !ok {
		return c, err
	}
	now, nerr := e.tables.present(ctx, delivery)
	if _, ok := errors.AsType[*secretsError](nerr); ok {
		return c, err
	}
	if nerr != nil {
		return c, nerr
	}
	if renew(&c, &now) {
		err = nil
	}
	return c, err
}

// renew has a former configuration reach what it sends to as the present one does, where that is the same: former credentials may
// have been revoked. It is told how long to try, too, and whom its transforms ask: of these the first outcome that is kept counts,
// whoever made it. Nothing else is taken over, since names and bytes come from the rest: a range that is half written in one place
// must not be written in another. whole tells whether c needs no secret of its own any more.
func renew(c, now *spec.Config) (whole bool) {
	whole = renewS3(c.Destination.S3, now.Destination.S3)
	if c.Backup != nil {
		var to *spec.S3
		if now.Backup != nil {
			to = &now.Backup.S3
		}
		whole = renewS3(&c.Backup.S3, to) && whole
	}
	if a, b := c.Destination.HTTP, now.Destination.HTTP; a != nil && b != nil {
		a.RetrySeconds = b.RetrySeconds
		if a.URL == b.URL {
			a.AccessKey = b.AccessKey
		}
		whole = whole && a.URL == b.URL
	} else if a != nil {
		whole = false
	}
	return renewEndpoints(c, now) && whole
}

// renewEndpoints takes over whom transforms ask: the endpoints that are still asked, wherever they stand now, and one that has another
// URL where nothing else about the steps is another. More than one may be other steps: records would get into a bucket without
// what they were to go through. Of several steps that ask one endpoint each is the one that is told the same, in their order where
// several are, or, where there are as many as before, the one at its place; another step stays as it was.
func renewEndpoints(c, now *spec.Config) (whole bool) {
	former, present := endpoints(c), endpoints(now)
	to, taken := make([]*spec.HTTP, len(former)), make([]bool, len(present))
	for _, same := range []func(i, at int) bool{
		func(i, at int) bool { return toldTheSame(former[i], present[at]) },
		func(i, at int) bool {
			n, of := placeOf(former, i)
			m, among := placeOf(present, at)
			return former[i].URL == present[at].URL && n == m && of == among
		},
	} {
		for i := range former {
			for at := range present {
				if to[i] == nil && !taken[at] && same(i, at) {
					to[i], taken[at] = present[at], true
				}
			}
		}
	}
	var moved []int // of former
	for i := range former {
		if to[i] == nil {
			moved = append(moved, i)
		}
	}
	sameKind := func(a, b spec.Transform) bool { return a.Kind == b.Kind }
	if len(moved) == 1 && slices.EqualFunc(c.Transforms, now.Transforms, sameKind) && !taken[moved[0]] && former[moved[0]].URL != present[moved[0]].URL {
		to[moved[0]], moved = present[moved[0]], nil
	}
	for i, h := range to {
		if h != nil {
			*former[i] = *h
		}
	}
	return len(moved) == 0
}

// toldTheSame tells whether two steps ask one endpoint the same; they may have other keys.
func toldTheSame(a, b *spec.HTTP) bool {
	return a.URL == b.URL && a.Gzip == b.Gzip && a.BatchBytes == b.BatchBytes && maps.Equal(a.Common, b.Common)
}

// placeOf tells which of the steps that ask its endpoint a step is, and how many there are.
func placeOf(all []*spec.HTTP, i int) (n, of int) {
	for at, h := range all {
		if h.URL == all[i].URL {
			if of++; at < i {
				n++
			}
		}
	}
	return n, of
}

func renewS3(c, now *spec.S3) (whole bool) {
	if c == nil {
		return true
	}
	if now == nil || c.Bucket != now.Bucket || c.Endpoint != now.Endpoint {
		return c.AccessKey == ""
	}
	c.Region, c.AccessKey, c.SecretKey = now.Region, now.AccessKey, now.SecretKey
	return true
}
