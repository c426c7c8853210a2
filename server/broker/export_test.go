// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package broker

import "context"

// Ahead counts the reshards that the directory keeps since the catalog has not shown them.
func (d *Directory) Ahead() (n int) {
	d.turn <- struct{}{}
	defer d.leave()
	for _, all := range d.ahead {
		n += len(all)
	}
	return n
}

// Hang has nobody read the catalog until the returned function is called.
func (d *Directory) Hang() (release func()) {
	d.turn <- struct{}{}
	return d.leave
}

// LookAtStored looks at what accounts store now.
func (b *Broker) LookAtStored(ctx context.Context) { b.lookAtStored(ctx) }
