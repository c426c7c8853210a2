// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

// Package docs holds the test that runs the commands of README.md and of the guides under docs/, as a reader would: one after the
// other, in one shell, against a real `leat dev`.
package docs
