// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package masterkey

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"io"
	"strings"

	"github.com/leatstream/leat"
)

const (
	// KeyBytes is the length of a master key.
	KeyBytes = 32

	keyPrefix     = "leat-master-key-1:"
	wrappedPrefix = "leat-wrapped-1:"
	remedy        = "give it one with --master-key-file or LEAT_MASTER_KEY (`leat master-key` makes one)"
)

// Ring is the master keys that a server was given. It never changes, so any number of goroutines may use it. A nil Ring
// is that of a server without a master key.
type Ring struct {
	keys []key // the first wraps
}

// key is one master key, as it is used.
type key struct {
	id   string
	aead cipher.AEAD // takes and gives the nonce before the sealed bytes
}

// Parse reads the text of a master key file. Errors name the line, never what stands in it.
func Parse(text []byte) (*Ring, error) {
	r := &Ring{}
	for i, line := range strings.Split(string(text), "\n") {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		secret, err := parseKey(line)
		if err != nil {
			return nil, leat.Invalid("master-key-file", "line %d of the master keys: %v", i+1, err)
		}
		k, err := newKey(secret)
		if err != nil {
			return nil, leat.Errorf(leat.KindInternal, "line %d of the master keys: %w", i+1, err)
		}
		if r.find(k.id) != nil {
			return nil, leat.Invalid("master-key-file", "line %d of the master keys has key %s once more", i+1, k.id)
		}
		r.keys = append(r.keys, k)
	}
	if len(r.keys) == 0 {
		return nil, leat.Invalid("master-key-file", "there is no master key")
	}
	return r, nil
}

func parseKey(line string) ([]byte, error) {
	digits, ok := strings.CutPrefix(line, keyPrefix)
	if !ok {
		return nil, fmt.Errorf("it does not begin with %s", keyPrefix)
	}
	secret, err := base64.StdEncoding.Strict().DecodeString(digits)
	if err != nil || len(secret) != KeyBytes {
		return nil, fmt.Errorf("after %s come %d bytes in base64", keyPrefix, KeyBytes)
	}
	return secret, nil
}

func newKey(secret []byte) (k key, err error) {
	wrap, err := hkdf.Key(sha256.New, secret, nil, "leat wrap 1", KeyBytes)
	if err != nil {
		return k, err
	}
	id, err := hkdf.Key(sha256.New, secret, nil, "leat id 1", 8)
	if err != nil {
		return k, err
	}
	block, err := aes.NewCipher(wrap)
	if err != nil {
		return k, err
	}
	k.id = hex.EncodeToString(id)
	k.aead, err = cipher.NewGCMWithRandomNonce(block)
	return k, err
}

// Generate returns a line with a new key. It panics when randomness fails.
func Generate(rand io.Reader) string {
	secret := make([]byte, KeyBytes)
	if _, err := io.ReadFull(rand, secret); err != nil {
		panic(fmt.Sprintf("masterkey: no randomness for a key: %v", err))
	}
	return keyPrefix + base64.StdEncoding.EncodeToString(secret)
}

// ID is the first key's fingerprint, 16 hexadecimal digits; empty without one. It may be logged.
func (r *Ring) ID() string {
	if r == nil {
		return ""
	}
	return r.keys[0].id
}

// Wrap seals a secret under the first key. Unwrap takes it for the same purpose alone: a purpose names what kind of
// secret it is and whose ("stream-key/<id>"). KindUnsupported when there is no master key.
func (r *Ring) Wrap(purpose string, secret []byte) (string, error) {
	if r == nil {
		return "", leat.Errorf(leat.KindUnsupported, "this server was started without a master key, so it keeps no secrets: %s", remedy)
	}
	k := &r.keys[0]
	sealed := k.aead.Seal(nil, nil, secret, []byte(purpose))
	return wrappedPrefix + k.id + ":" + base64.StdEncoding.EncodeToString(sealed), nil
}

// Unwrap undoes Wrap. KindUnavailable when the key that wrapped it was not given to this server, KindCorrupt when the
// secret was changed or wrapped for another purpose.
func (r *Ring) Unwrap(purpose, wrapped string) ([]byte, error) {
	id, sealed, err := parseWrapped(wrapped)
	if err != nil {
		return nil, err
	}
	k := r.find(id)
	if k == nil {
		return nil, leat.Errorf(leat.KindUnavailable, "a secret is wrapped under master key %s, but this server has %s: %s", id, r.names(), remedy)
	}
	secret, err := k.aead.Open(nil, nil, sealed, []byte(purpose))
	if err != nil {
		return nil, leat.Errorf(leat.KindCorrupt, "the secret %s wrapped under master key %s is damaged, or another's", purpose, id)
	}
	return secret, nil
}

// Current tells whether a secret is wrapped under the first key; if not, it should be wrapped again.
func (r *Ring) Current(wrapped string) bool {
	id, _, err := parseWrapped(wrapped)
	return err == nil && r != nil && r.keys[0].id == id
}

func parseWrapped(wrapped string) (id string, sealed []byte, err error) {
	rest, ok := strings.CutPrefix(wrapped, wrappedPrefix)
	if !ok {
		return "", nil, leat.Errorf(leat.KindCorrupt, "a wrapped secret does not begin with %s", wrappedPrefix)
	}
	id, text, _ := strings.Cut(rest, ":")
	if sealed, err = base64.StdEncoding.Strict().DecodeString(text); err != nil {
		return "", nil, leat.Errorf(leat.KindCorrupt, "the secret wrapped under master key %q is not base64", id)
	}
	return id, sealed, nil
}

func (r *Ring) find(id string) *key {
	if r == nil {
		return nil
	}
	for i := range r.keys {
		if r.keys[i].id == id {
			return &r.keys[i]
		}
	}
	return nil
}

// names says which keys the ring has.
func (r *Ring) names() string {
	if r == nil {
		return "none"
	}
	ids := make([]string, len(r.keys))
	for i := range r.keys {
		ids[i] = r.keys[i].id
	}
	return strings.Join(ids, ", ")
}
