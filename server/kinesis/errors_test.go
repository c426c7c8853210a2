// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package kinesis

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/leatstream/leat"
)

func TestTableOfKindsIsComplete(t *testing.T) {
	for _, k := range leat.Kinds() {
		x := exceptionOf(k)
		if x.Type == "" || x.status < 400 || http.StatusText(x.status) == "" {
			t.Errorf("%s has no exception: %+v", k, x)
		}
	}
	if x := exceptionOf(leat.Kind(200)); x.Type != "" {
		t.Errorf("a kind that does not exist is %+v", x)
	}
}

func TestFaultsOfTheServerAreNotTold(t *testing.T) {
	for _, err := range []error{
		errors.New("dial 10.0.0.7: secret"),
		leat.Errorf(leat.KindInternal, "secret"),
		leat.Errorf(leat.KindCorrupt, "secret"),
		leat.Errorf(leat.KindUnknownOutcome, "secret"),
	} {
		told, _ := translate(err, "id-1")
		if strings.Contains(told.Message, "secret") || !strings.Contains(told.Message, "id-1") || told.code() != http.StatusInternalServerError {
			t.Errorf("%v: told %+v", err, told)
		}
	}
	if told, kind := translate(context.Canceled, ""); kind != leat.KindCanceled || told.Type != "RequestTimeoutException" {
		t.Errorf("a caller that went away: %+v", told)
	}
}
