// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package spec

import (
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"strings"
)

// Secret is a text that is never printed, logged or marshalled. string(s) tells it.
type Secret string

// String hides it.
func (s Secret) String() string {
	if s == "" {
		return ""
	}
	return "(hidden)"
}

// GoString hides it from %#v.
func (s Secret) GoString() string { return fmt.Sprintf("%q", s.String()) }

// LogValue hides it from logs.
func (s Secret) LogValue() slog.Value { return slog.StringValue(s.String()) }

// MarshalText hides it from every encoder that asks.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// Secrets returns where each secret of a Config is, by a name that stays the same while the Config does. They are kept
// apart from it, under the master key.
func (c *Config) Secrets() map[string]*Secret {
	all := map[string]*Secret{}
	if c.Destination.S3 != nil {
		all["destination.s3.secret_key"] = &c.Destination.S3.SecretKey
	}
	if c.Destination.HTTP != nil {
		all["destination.http.access_key"] = &c.Destination.HTTP.AccessKey
	}
	if c.Backup != nil {
		all["backup.s3.secret_key"] = &c.Backup.S3.SecretKey
	}
	for i := range c.Transforms {
		if h := c.Transforms[i].HTTP; h != nil {
			all[fmt.Sprintf("transforms.%d.http.access_key", i)] = &h.AccessKey
		}
	}
	return all
}

// WithoutQuery is a URL without what may be a secret in it: its user and its query.
func WithoutQuery(text string) string {
	u, err := url.Parse(text)
	if err != nil {
		return ""
	}
	u.User, u.Fragment = nil, ""
	if u.RawQuery != "" {
		u.RawQuery = "…"
	}
	return strings.TrimSuffix(u.String(), "?")
}

// WithoutURL is an error of an HTTP client without the URL that it was about.
func WithoutURL(err error) error {
	if u, ok := errors.AsType[*url.Error](err); ok {
		return u.Err
	}
	return err
}
