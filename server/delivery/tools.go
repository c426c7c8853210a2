// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package delivery

import (
	"context"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/server/delivery/encode"
	"github.com/leatstream/leat/server/delivery/objectname"
	"github.com/leatstream/leat/server/delivery/spec"
)

// tools are a configuration, compiled.
type tools struct {
	config     spec.Config
	pipeline   spec.Pipeline // nil: records go as they came
	repeatable bool
	namer      spec.Namer
	encode     spec.NewEncoder
	bucket     *bucket // nil: an HTTP destination
	endpoint   *endpoint
	backup     *bucket // nil: there is none
	keepAll    spec.Namer
	keepEncode spec.NewEncoder
}

// Compile makes a pipeline of transforms, of which there is one at least. arn names the delivery stream to endpoints.
type Compile func(ctx context.Context, arn string, transforms []spec.Transform) (spec.Pipeline, error)

// arn names a delivery stream as AWS tools know it.
func (e *Engine) arn(account, name string) string {
	return "arn:aws:firehose:" + e.cfg.Region + ":" + account + ":deliverystream/" + name
}

// compile makes the tools of a configuration. Its errors name the member that is wrong.
func (e *Engine) compile(ctx context.Context, account, name string, c spec.Config) (_ *tools, err error) {
	t := &tools{config: c, repeatable: true}
	defer func() {
		if err != nil {
			t.close()
		}
	}()
	t.namer, err = objectname.Compile(objectname.Options{
		Naming: naming(&c), Default: encode.Extension(c.Format.Kind, c.Compression), Partitioned: c.Partitioning != nil,
	})
	if err != nil {
		return nil, err
	}
	if t.encode, err = encode.New(c.Format, c.Compression); err != nil {
		return nil, err
	}
	if len(c.Transforms) > 0 {
		if t.pipeline, err = e.cfg.Compile(ctx, e.arn(account, name), c.Transforms); err != nil {
			return nil, err
		}
		for i := range c.Transforms {
			t.repeatable = t.repeatable && c.Transforms[i].Repeatable()
		}
	}
	if c.Destination.S3 != nil {
		if t.bucket, err = e.cfg.S3.open(c.Destination.S3); err != nil {
			return nil, err
		}
	} else {
		t.endpoint = newEndpoint(c.Destination.HTTP)
	}
	if c.Backup == nil {
		return t, nil
	}
	if t.backup, err = e.cfg.S3.open(&c.Backup.S3); err != nil {
		return nil, rename(err, "destination.s3", "backup.s3")
	}
	t.keepAll, err = objectname.Compile(objectname.Options{Naming: c.Backup.Naming, Default: encode.Extension(spec.Raw, c.Backup.Compression), Field: "backup.naming"})
	if err != nil {
		return nil, err
	}
	t.keepEncode, err = encode.New(spec.Format{Kind: spec.Raw}, c.Backup.Compression)
	return t, err
}

// refuse returns an error where a configuration would deliver into Leat's own bucket.
func (e *Engine) refuse(c *spec.Config) error {
	if c.Destination.S3 != nil {
		if err := e.cfg.S3.refuse(c.Destination.S3); err != nil {
			return err
		}
	}
	if c.Backup == nil {
		return nil
	}
	return rename(e.cfg.S3.refuse(&c.Backup.S3), "destination.s3", "backup.s3")
}

// naming is where objects of the destination go; what an HTTP destination cannot take goes to the backup's error prefix.
func naming(c *spec.Config) spec.Naming {
	if c.Destination.S3 == nil && c.Backup != nil {
		return c.Backup.Naming
	}
	return c.Naming
}

// errorBucket is where failed records go.
func (t *tools) errorBucket() (b *bucket, backup bool) {
	if t.bucket != nil {
		return t.bucket, false
	}
	return t.backup, true
}

func (t *tools) close() {
	if t.pipeline != nil {
		_ = t.pipeline.Close() // nothing of it is needed any more
	}
	for _, b := range []*bucket{t.bucket, t.backup} {
		if b != nil {
			b.close()
		}
	}
	if t.endpoint != nil {
		t.endpoint.close()
	}
}

// rename changes where an error says that the mistake is.
func rename(err error, from, to string) error {
	e, ok := err.(*leat.Error) //nolint:errorlint // made a moment ago
	if ok && len(e.Field) >= len(from) && e.Field[:len(from)] == from {
		c := *e
		c.Field = to + e.Field[len(from):]
		return &c
	}
	return err
}
