// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package auth

import (
	"net/http"
	"strings"

	"github.com/leatstream/leat"
)

// DevSignatures is the AWS wire of `leat dev`: a request that names an access key that there is must be signed with it, and
// acts for its account; any other, signed or not, is an operator in the account of development, unless a web page sent it. It MUST NOT be used on an
// address that others reach.
type DevSignatures struct {
	Keys  *KeyStore
	SigV4 *SigV4
}

// Admit refuses what needs no body for that.
func (d *DevSignatures) Admit(r *http.Request) error {
	if d.Knows(r) {
		return d.SigV4.Admit(r)
	}
	if err := RefusePages(r); err != nil {
		return refuse(typeDenied, err.Error())
	}
	return nil
}

// Verify returns who makes a request.
func (d *DevSignatures) Verify(r *http.Request, body []byte) (leat.Principal, error) {
	if d.Knows(r) {
		return d.SigV4.Verify(r, body)
	}
	if err := d.Admit(r); err != nil {
		return leat.Principal{}, err
	}
	return Anybody{}.Verify(r, body)
}

// Knows tells whether a request names an access key that this node knows.
func (d *DevSignatures) Knows(r *http.Request) bool { return d.Keys.has(credentialID(r)) }

// Knows tells whether a request names an access key that this node knows. It verifies nothing, and asks nobody.
func (v *SigV4) Knows(r *http.Request) bool {
	keys, ok := v.keys.(*KeyStore)
	return ok && keys.has(credentialID(r))
}

// has tells whether this node knows a key. It asks nobody.
func (s *KeyStore) has(id string) bool {
	_, ok := s.known.Load().find(id)
	return ok
}

// credentialID is the access key that a request names; empty where it names none, or is malformed.
func credentialID(r *http.Request) string {
	_, credential, ok := strings.Cut(r.Header.Get("Authorization"), "Credential=")
	if !ok && r.URL != nil {
		credential = r.URL.Query().Get("X-Amz-Credential")
	}
	id, _, _ := strings.Cut(credential, "/")
	return strings.TrimSpace(id)
}
