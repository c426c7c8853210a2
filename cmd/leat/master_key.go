// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"crypto/rand"
	"fmt"

	"github.com/leatstream/leat/server/masterkey"
)

// masterKeyCmd is `leat master-key`.
type masterKeyCmd struct{}

// Help is shown by `leat master-key --help`.
func (masterKeyCmd) Help() string {
	return "Put what it prints in a file that nobody else reads, give that to `leat serve --master-key-file` on every node, and keep a copy: what is sealed under a master key cannot be read without it. To change it, begin with a new line after the old one: docs/encryption.md, \"Changing keys\", has the steps."
}

// Run prints a new master key.
func (masterKeyCmd) Run(t *terminal) error {
	_, err := fmt.Fprintln(t.out, masterkey.Generate(rand.Reader))
	return err
}
