// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

// Package disk is a blob.Store in a folder of a local file system.
//
//	<root>/objects/<key>     the objects, one file each, never changed but by
//	                         Replace, which puts another file in their place
//	<root>/tmp/<random>/…    objects being written; one folder for each open
//	                         Store, locked with flock while that Store lives
//
// Create writes a file under tmp, fsyncs it, links it to its final name (which
// fails if the name is taken), and fsyncs the folder and every folder that it
// had to make. Only then does it return nil, or ErrExists: an object that
// stands is durable by the time anybody is told so.
//
// A folder whose fsync failed may forget what was linked into it, and a second
// fsync may wrongly succeed. So after one such failure a Store refuses to create
// until it is opened again; reads go on.
//
// If the folder goes away or another file system is mounted over it, calls fail;
// they do not answer "not found". One process writes to a folder at a time;
// the lock for that is the caller's.
package disk
