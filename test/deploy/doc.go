// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

// Package deploy checks the files in deploy/: what they set is what `leat serve` knows and takes, what they name is there,
// and what they pull is pinned. It runs no container and asks no network.
package deploy
