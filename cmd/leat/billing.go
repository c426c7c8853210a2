// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package main

// billingCmd is `leat billing`.
type billingCmd struct {
	Prices billingPricesCmd `cmd:"" help:"Look at price books, and check your own."`
}

// Help is shown by `leat billing --help`.
func (billingCmd) Help() string {
	return "What was used and what it costs. Prices are in a price book, a YAML file: `leat billing prices show showback` prints one to start from."
}
