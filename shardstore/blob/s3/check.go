// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package s3

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/lifecycle"
)

// ErrLifecycle is matched by CheckLifecycle's error when a rule of the bucket
// would take our objects away.
var ErrLifecycle = errors.New("s3: a lifecycle rule would remove Leat's objects")

// CheckBucket asks for the bucket and for a listing, and says in plain words
// what is wrong: no such server, bucket, right, region or key.
func (s *Store) CheckBucket(ctx context.Context) error {
	exists, err := s.core.BucketExists(ctx, s.bucket)
	if err != nil {
		return s.explain(err)
	}
	if !exists {
		return fmt.Errorf("s3: bucket %s does not exist at %s; create it, or name another", s.bucket, s.endpoint)
	}
	if _, err := s.List(ctx, "", "", 1); err != nil {
		return fmt.Errorf("s3: bucket %s at %s exists but cannot be listed (s3:ListBucket is needed): %w", s.bucket, s.endpoint, err)
	}
	return nil
}

func (s *Store) explain(err error) error {
	at := fmt.Sprintf("s3: bucket %s at %s", s.bucket, s.endpoint)
	switch status(err) {
	case 0:
		return fmt.Errorf("%s cannot be reached: %w", at, err)
	case http.StatusForbidden, http.StatusUnauthorized:
		return fmt.Errorf("%s: access denied; check the keys, their policy and this machine's clock (%w)", at, s.fail("head", s.bucket, err))
	case http.StatusMovedPermanently, http.StatusBadRequest:
		return fmt.Errorf("%s: refused; check the region and the endpoint (%w)", at, s.fail("head", s.bucket, err))
	}
	return fmt.Errorf("%s: %w", at, s.fail("head", s.bucket, err))
}

// CheckLifecycle refuses a bucket whose lifecycle rules would expire objects
// under our prefix, or move them to where they cannot be read at once: fences
// must stay for ever, and everything else until Leat deletes it. The note, when
// not empty, says why nothing could be checked.
func (s *Store) CheckLifecycle(ctx context.Context) (note string, err error) {
	config, err := s.core.GetBucketLifecycle(ctx, s.bucket)
	if err != nil {
		return s.noLifecycle(err)
	}
	var bad []error
	for _, rule := range config.Rules {
		if harm := harm(rule); harm != "" && s.concerns(rule) {
			bad = append(bad, fmt.Errorf("%w: rule %q of bucket %s %s objects under %q; remove it, or limit it to another prefix than %q",
				ErrLifecycle, rule.ID, s.bucket, harm, prefixOf(rule), s.prefix))
		}
	}
	return "", errors.Join(bad...)
}

// noLifecycle judges the answer of a store that showed no rules.
func (s *Store) noLifecycle(err error) (string, error) {
	r, _ := answer(err)
	switch {
	case r.Code == "NoSuchLifecycleConfiguration":
		return "", nil
	case r.StatusCode == http.StatusNotImplemented || r.StatusCode == http.StatusMethodNotAllowed || r.Code == minio.NotImplemented:
		return fmt.Sprintf("the store at %s has no lifecycle rules to check (%s)", s.endpoint, r.Code), nil
	case r.StatusCode == http.StatusForbidden:
		return "", fmt.Errorf("s3: the lifecycle rules of bucket %s may not be read; allow s3:GetLifecycleConfiguration, so that Leat can see that none removes its objects (%w)",
			s.bucket, s.fail("lifecycle", s.bucket, err))
	}
	return "", s.fail("lifecycle", s.bucket, err)
}

// harm says what a rule does to current objects, if anything. Old versions,
// delete markers and unfinished uploads are not ours.
func harm(r lifecycle.Rule) string {
	if !strings.EqualFold(r.Status, "Enabled") {
		return ""
	}
	if !r.Expiration.IsDaysNull() || !r.Expiration.IsDateNull() || r.Expiration.DeleteAll.IsEnabled() || !r.AllVersionsExpiration.IsNull() {
		return "expires"
	}
	switch class := r.Transition.StorageClass; strings.ToUpper(class) {
	case "GLACIER", "DEEP_ARCHIVE":
		return "moves to " + class
	}
	return ""
}

func prefixOf(r lifecycle.Rule) string {
	for _, p := range []string{r.RuleFilter.And.Prefix, r.RuleFilter.Prefix, r.Prefix} {
		if p != "" {
			return p
		}
	}
	return ""
}

// concerns says whether a rule can match an object of ours. We set no tags, so
// rules that ask for one do not; sizes we have of all sorts.
func (s *Store) concerns(r lifecycle.Rule) bool {
	if !r.RuleFilter.Tag.IsEmpty() || len(r.RuleFilter.And.Tags) > 0 {
		return false
	}
	p := prefixOf(r)
	return strings.HasPrefix(s.prefix, p) || strings.HasPrefix(p, s.prefix)
}
