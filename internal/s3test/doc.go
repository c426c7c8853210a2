// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

// Package s3test gives tests a real S3 server: MinIO, run as a subprocess.
//
//	srv := s3test.Start(t)
//	bucket := srv.Bucket(t) // fresh and empty; srv.Endpoint, srv.AccessKey, srv.SecretKey
//
// The first call in a test binary starts the server (about half a second, 110 MB
// of memory), later calls share it, and each bucket is removed with its objects
// when its test ends. The server needs no TestMain: it ends with the test
// binary, also when that is killed, and its folder goes with it (see package
// testproc).
//
// Tests that stop, kill or freeze the server take one of their own with [New].
//
// The binary is the one that tools/install.sh builds, of the version that
// tools/versions.txt names. Nothing is skipped when it is absent: the test fails
// and says to run make test.
package s3test
