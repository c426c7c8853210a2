// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

// Package arrows holds the test that keeps the imports between Leat's packages
// as ARCHITECTURE.md draws them: vocabulary below, engine above it, control
// plane and broker above that, edges on top, wiring in one place.
//
// Its table says for each package which others it may import. A package that
// needs a new arrow gets it there, in view of whoever reads the change.
package arrows
