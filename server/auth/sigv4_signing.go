// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package auth

import (
	"crypto/hmac"
	"crypto/sha256"
	"sync"
)

// maxSigningKeys bounds the cache: two generations of so many. A key takes one entry a day.
const maxSigningKeys = 8192

// signingKeys keeps the keys that are derived from secrets, per day: each costs four HMACs. When the young generation
// is full it becomes the old one and what the old one had, unused for so long, is forgotten.
type signingKeys struct {
	most int

	mu         sync.RWMutex
	young, old map[signingID]signingKey
}

type signingID struct{ id, date string }

type signingKey struct {
	secret string // it was derived from: an id whose secret changes has another key
	key    [sha256.Size]byte
}

func newSigningKeys(most int) *signingKeys {
	return &signingKeys{most: most, young: map[signingID]signingKey{}}
}

// get returns the signing key of an access key on a day.
func (s *signingKeys) get(id, date, secret, region, service string) [sha256.Size]byte {
	at := signingID{id, date}
	s.mu.RLock()
	k, ok := s.young[at]
	s.mu.RUnlock()
	if ok && k.secret == secret {
		return k.key
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if k, ok = s.old[at]; !ok || k.secret != secret {
		k = signingKey{secret: secret, key: deriveKey(secret, date, region, service)}
	}
	if len(s.young) >= s.most {
		s.old, s.young = s.young, make(map[signingID]signingKey, s.most)
	}
	s.young[at] = k
	return k.key
}

func deriveKey(secret, date, region, service string) (key [sha256.Size]byte) {
	k := []byte("AWS4" + secret)
	for _, part := range []string{date, region, service, terminator} {
		m := hmac.New(sha256.New, k)
		m.Write([]byte(part))
		k = m.Sum(nil)
	}
	copy(key[:], k)
	return key
}
