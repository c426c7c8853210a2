// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

// Package segment is the form of Leat's objects: bytes only. It encodes and decodes segments, packs and fences, and
// checks them; it does no I/O, keeps no clock, and knows neither keys of objects nor the catalog.
package segment
