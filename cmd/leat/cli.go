// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"time"

	"github.com/alecthomas/kong"

	"github.com/leatstream/leat/api/client"
)

// cli is the whole command line.
type cli struct {
	Dev       devCmd       `cmd:"" set:"shard_limits=off" help:"Start a whole server on this machine: one process, one folder, nothing to install."`
	Serve     serveCmd     `cmd:"" set:"shard_limits=aws" help:"Start a node on PostgreSQL and an S3-compatible bucket."`
	Stream    streamCmd    `cmd:"" help:"Create, change and delete streams."`
	Shard     shardCmd     `cmd:"" help:"Look at the shards of a stream."`
	Node      nodeCmd      `cmd:"" help:"Look at the nodes of a cluster."`
	Consumer  consumerCmd  `cmd:"" help:"Register consumers, to which records are pushed."`
	Delivery  deliveryCmd  `cmd:"" help:"Deliver streams to buckets and HTTP endpoints, exactly once."`
	Key       keyCmd       `cmd:"" help:"Make access keys, with which AWS SDKs and tools sign requests."`
	Billing   billingCmd   `cmd:"" help:"Look at what was used and what it costs."`
	Token     tokenCmd     `cmd:"" help:"Make API tokens, for gRPC, REST and this command line."`
	Role      roleCmd      `cmd:"" help:"Say what keys and tokens may do."`
	Account   accountCmd   `cmd:"" help:"Keep accounts, and look at quotas and settings."`
	Audit     auditCmd     `cmd:"" help:"See who asked for what, from where."`
	Put       putCmd       `cmd:"" help:"Put records into a stream."`
	Get       getCmd       `cmd:"" help:"Read a stream to its present end."`
	Tail      tailCmd      `cmd:"" help:"Show the last records of a stream, and follow it."`
	Bench     benchCmd     `cmd:"" help:"Measure a server beside the machine's own limits."`
	Fsck      fsckCmd      `cmd:"" help:"Check stored data against the catalog; repairs nothing."`
	Rebuild   rebuildCmd   `cmd:"" help:"Make a lost database anew from the bucket alone."`
	Backup    backupCmd    `cmd:"" help:"Keep what the database knows and the bucket does not: invoices, the ledger, the audit log."`
	Restore   restoreCmd   `cmd:"" help:"Make a lost database anew from the bucket and a backup."`
	Debug     debugCmd     `cmd:"" help:"Gather what is needed to understand a server."`
	Plan      planCmd      `cmd:"" help:"Estimate nodes, database and cost for some traffic, beside Kinesis and Kafka."`
	Doctor    doctorCmd    `cmd:"" help:"Look at what a server stands on, and say what to do."`
	Health    healthCmd    `cmd:"" help:"Ask a server whether it serves: the exit status tells."`
	MasterKey masterKeyCmd `cmd:"" help:"Print a new master key, under which a server keeps secrets."`
	Version   versionCmd   `cmd:"" help:"Print the version."`
}

// The forms of output.
const formatJSON = "json"

// connection is what every command has that talks to a server.
type connection struct {
	Endpoint  string `help:"gRPC address of the server, 127.0.0.1:4568 by default; https://HOST:PORT for TLS." env:"LEAT_ENDPOINT" placeholder:"HOST:PORT" group:"Server"`
	Token     string `help:"Token to call with." env:"LEAT_TOKEN" group:"Server" placeholder:"TOKEN"`
	Account   string `help:"Account to act for, with the server's own token." env:"LEAT_ACCOUNT" group:"Server" placeholder:"ID"`
	trust     `embed:""`
	Plaintext bool   `help:"Send the token to another machine without TLS." env:"LEAT_PLAINTEXT" group:"Server"`
	Output    string `short:"o" help:"table for people, json for programs: one object a line." enum:"table,json" default:"table" env:"LEAT_OUTPUT"`
}

// AfterApply hands the connection to Run.
func (c *connection) AfterApply(k *kong.Context) error {
	k.Bind(c)
	return nil
}

// connectWithin is how long a first connection may take.
const connectWithin = 10 * time.Second

// dial connects, or says that nothing answers.
func (c *connection) dial(ctx context.Context) (*client.Client, error) {
	opts := []client.Option{client.WithToken(c.Token), client.WithAccount(c.Account)}
	conf, err := c.tls()
	if err != nil {
		return nil, err
	}
	if conf != nil {
		opts = append(opts, client.WithTLSConfig(conf))
	}
	if c.Plaintext {
		opts = append(opts, client.WithPlaintext())
	}
	cl, err := client.Dial(c.Endpoint, opts...)
	if err != nil {
		return nil, err
	}
	ready, cancel := context.WithTimeout(ctx, connectWithin)
	defer cancel()
	if err := cl.Ready(ready); err != nil {
		_ = cl.Close() // what matters is that nothing answers
		return nil, err
	}
	return cl, nil
}

// callWithin bounds a single call.
const callWithin = 30 * time.Second

// with dials, and runs a command's calls with a bound on their time.
func (c *connection) with(ctx context.Context, do func(ctx context.Context, cl *client.Client) error) error {
	cl, err := c.dial(ctx)
	if err != nil {
		return err
	}
	defer cl.Close()
	ctx, cancel := context.WithTimeout(ctx, callWithin)
	defer cancel()
	return do(ctx, cl)
}
