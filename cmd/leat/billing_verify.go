// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"time"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/billing"
	"github.com/leatstream/leat/server"
)

// billingVerifyCmd is `leat billing verify`.
type billingVerifyCmd struct {
	outputFlag
	From        string    `required:"" help:"The first hour, as 2026-11-01 or 2026-11-01T05:00:00Z." placeholder:"TIME"`
	To          string    `required:"" help:"The hour after the last." placeholder:"TIME"`
	DataDir     string    `name:"data-dir" type:"path" xor:"where" help:"Verify the folder of a stopped leat dev." placeholder:"FOLDER"`
	Postgres    string    `name:"postgres" xor:"where" env:"LEAT_POSTGRES" help:"Verify a leat serve, running or not: its PostgreSQL, and the --s3 flags." placeholder:"DSN"`
	S3          server.S3 `embed:"" prefix:"s3-" envprefix:"LEAT_S3_"`
	serversFile `embed:""`
}

// Help is shown by `leat billing verify --help`.
func (billingVerifyCmd) Help() string {
	return "Adds up what the manifests of packs in the bucket say was put, and compares it with the usage in the catalog and with the ledger, stream by stream and hour by hour. Where packs are still there, their own tables of contents are compared with the manifests; where retention has taken them, the manifests prove the month. Exit status 0 only when the difference is 0."
}

func hour(flag, text string) (time.Time, error) {
	for _, layout := range []string{time.RFC3339, time.DateOnly} {
		if t, err := time.Parse(layout, text); err == nil {
			return t, nil
		}
	}
	return time.Time{}, leat.Invalid(flag, "--%s %q: give it as 2026-11-01 or 2026-11-01T05:00:00Z", flag, text)
}

// Run verifies and reports.
func (c *billingVerifyCmd) Run(ctx context.Context, t *terminal) error {
	from, err := hour("from", c.From)
	if err != nil {
		return err
	}
	to, err := hour("to", c.To)
	if err != nil {
		return err
	}
	var v billing.Verification
	switch {
	case c.DataDir != "":
		v, err = server.VerifyLocal(ctx, c.DataDir, from, to)
	case c.Postgres != "":
		v, err = server.VerifyRemote(ctx, c.Postgres, c.S3, from, to)
	default:
		return leat.Invalid("data-dir", "say what to verify: --data-dir FOLDER, or --postgres DSN with the --s3 flags")
	}
	if err != nil {
		return err
	}
	if c.Output == formatJSON {
		if v.Problems == nil {
			v.Problems = []string{}
		}
		err = newEncoder(t.out).Encode(map[string]any{
			"from": v.From, "to": v.To, "manifests": v.Manifests, "packs": v.Packs, "packs_gone": v.PacksGone, "stream_hours": v.StreamHours,
			"records": v.Records, "bytes": v.Bytes, "units": v.Units, "problems": v.Problems,
		})
		if err != nil {
			return err
		}
	} else {
		for _, p := range v.Problems {
			fmt.Fprintln(t.out, p)
		}
		fmt.Fprintf(t.out, "verified %s, %s and %s put in %s by %s (%s compared with their packs, %s whose packs are gone): %s\n",
			plural(int(v.Records), "record"), size(float64(v.Bytes)), plural(int(v.Units), "payload unit"), plural(v.StreamHours, "stream-hour"),
			plural(v.Manifests, "manifest"), count(v.Packs), count(v.PacksGone), plural(len(v.Problems), "difference"))
	}
	if len(v.Problems) > 0 {
		return leat.Errorf(leat.KindCorrupt, "%s between the bill and the bucket", plural(len(v.Problems), "difference"))
	}
	return nil
}
