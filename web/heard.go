// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package web

import (
	"net/http"

	"github.com/leatstream/leat"
)

// heard remembers the status of an answer: pages that show what is wrong beside a form have no error to return, and the audit
// log is to know of it.
type heard struct {
	http.ResponseWriter
	status int
}

// WriteHeader remembers the status.
func (h *heard) WriteHeader(status int) {
	h.status = status
	h.ResponseWriter.WriteHeader(status)
}

// Unwrap lets http.ResponseController reach what is below.
func (h *heard) Unwrap() http.ResponseWriter { return h.ResponseWriter }

// err is what the status says.
func (h *heard) err() error {
	switch {
	case h.status < http.StatusBadRequest:
		return nil
	case h.status >= http.StatusInternalServerError && h.status != http.StatusNotImplemented && h.status != http.StatusServiceUnavailable:
		return leat.Errorf(leat.KindInternal, "the page says that it failed")
	}
	for _, kind := range leat.Kinds() {
		if statusOf(kind) == h.status {
			return leat.Errorf(kind, "the page says why")
		}
	}
	return leat.Errorf(leat.KindInvalidArgument, "the page says why")
}
