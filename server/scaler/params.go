// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package scaler

import (
	"errors"
	"time"
)

// Params say when to split and merge. A share of 1 is what a provisioned shard takes: 1 MiB/s or 1,000 records/s,
// whichever is reached first. A zero value means the default.
type Params struct {
	Every     time.Duration // between two looks, and the step of the broker's rates: 5 s
	Hot       float64       // share from which on a shard is hot: 0.75
	HotFor    time.Duration // how long it must be hot before it is split: 30 s
	Cold      float64       // share up to which two neighbours together are cold: 0.4; half of Hot or a little more
	ColdFor   time.Duration // how long they must be cold before they are merged: 15 min
	Cooldown  time.Duration // after a stream was resharded, before it is again: 30 s
	HoldAgain time.Duration // before it is said again that a hot shard cannot be split: 1 h
	MaxShards int           // of one stream: 1,000
	// NarrowBits is how narrow a shard becomes at most by splits: 1/2^14 of all hash keys. One that is narrower and still
	// hot has its load from one partition key, or from few that lie near each other.
	NarrowBits int
}

// Defaults fills in what is zero.
func (p *Params) Defaults() {
	def(&p.Every, 5*time.Second)
	def(&p.Hot, 0.75)
	def(&p.HotFor, 30*time.Second)
	def(&p.Cold, 0.4)
	def(&p.ColdFor, 15*time.Minute)
	def(&p.Cooldown, 30*time.Second)
	def(&p.HoldAgain, time.Hour)
	def(&p.MaxShards, 1000)
	def(&p.NarrowBits, 14)
}

func def[T comparable](to *T, v T) {
	var zero T
	if *to == zero {
		*to = v
	}
}

// Validate tells everything that is wrong, joined.
func (p *Params) Validate() error {
	var errs []error
	if p.Every <= 0 || p.HotFor <= 0 || p.ColdFor <= 0 || p.Cooldown < 0 || p.HoldAgain <= 0 {
		errs = append(errs, errors.New("scaler: times must be above 0"))
	}
	if p.Cold <= 0 || p.Cold > 0.8*p.Hot {
		errs = append(errs, errors.New("scaler: what is cold must be well below what is hot, or merges would be split again"))
	}
	if p.MaxShards < 1 || p.NarrowBits < 1 || p.NarrowBits > 60 {
		errs = append(errs, errors.New("scaler: at least one shard, and ranges of 2^-1 to 2^-60 of the hash keys"))
	}
	return errors.Join(errs...)
}
