// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"

	"github.com/leatstream/leat/api/client"
	leatv1 "github.com/leatstream/leat/api/leat/v1"
)

// accountCmd is `leat account`.
type accountCmd struct {
	Connection connection `embed:""`

	Create   accountCreateCmd   `cmd:"" help:"Create an account."`
	List     accountListCmd     `cmd:"" help:"List all accounts."`
	Describe accountDescribeCmd `cmd:"" help:"Describe an account."`
	Update   accountUpdateCmd   `cmd:"" help:"Change an account's name and labels."`
	Disable  accountDisableCmd  `cmd:"" help:"Refuse an account's keys and tokens, until it is enabled."`
	Enable   accountEnableCmd   `cmd:"" help:"Accept an account's keys and tokens again."`
	Delete   accountDeleteCmd   `cmd:"" help:"Delete an account for good."`
	Erase    accountEraseCmd    `cmd:"" help:"Delete an account with all its streams and their keys, and wait until it is gone."`
	Quotas   accountQuotasCmd   `cmd:"" help:"Show or set an account's own quotas."`
	Limits   accountLimitsCmd   `cmd:"" help:"Show the account's quotas and their use."`
	Settings accountSettingsCmd `cmd:"" help:"Show or change the account's settings."`
}

type accountLimitsCmd struct{}

// Run shows quotas.
func (accountLimitsCmd) Run(ctx context.Context, c *connection, t *terminal) error {
	return c.with(ctx, func(ctx context.Context, cl *client.Client) error {
		res, err := cl.Account.GetAccountLimits(ctx, &leatv1.GetAccountLimitsRequest{})
		if err != nil {
			return err
		}
		l := res.GetLimits()
		p := newPrinter(t.out, c.Output, "QUOTA", "USED", "LIMIT")
		for _, q := range []struct {
			name, said  string
			used, limit int32
		}{
			{"open_shards", "open shards", l.GetOpenShardCount(), l.GetShardLimit()},
			{"on_demand_streams", "on-demand streams", l.GetOnDemandStreamCount(), l.GetOnDemandStreamLimit()},
		} {
			if err := p.Row(map[string]any{"quota": q.name, "used": q.used, "limit": q.limit}, q.said, fmt.Sprint(q.used), fmt.Sprint(q.limit)); err != nil {
				return err
			}
		}
		return p.Flush()
	})
}

type accountSettingsCmd struct {
	Commit *bool `help:"Begin or end a commitment to a minimum throughput." negatable:""`
}

// Run changes what its flags name, and shows the settings.
func (cmd *accountSettingsCmd) Run(ctx context.Context, c *connection, t *terminal) error {
	return c.with(ctx, func(ctx context.Context, cl *client.Client) error {
		s, err := cmd.settings(ctx, cl)
		if err != nil {
			return err
		}
		v := settingsView{
			Commitment: short(s.GetMinimumThroughputCommitment().String()), Started: rfc3339(s.GetCommitmentStartTime()),
			EarliestEnd: rfc3339(s.GetCommitmentEarliestEndTime()), Ended: rfc3339(s.GetCommitmentEndTime()),
		}
		p := newPrinter(t.out, c.Output, "COMMITMENT", "STARTED", "EARLIEST END", "ENDED")
		if err := p.Row(v, v.Commitment, local(s.GetCommitmentStartTime()), local(s.GetCommitmentEarliestEndTime()), local(s.GetCommitmentEndTime())); err != nil {
			return err
		}
		return p.Flush()
	})
}

func (cmd *accountSettingsCmd) settings(ctx context.Context, cl *client.Client) (*leatv1.AccountSettings, error) {
	if cmd.Commit == nil {
		res, err := cl.Account.GetAccountSettings(ctx, &leatv1.GetAccountSettingsRequest{})
		return res.GetSettings(), err
	}
	req := &leatv1.UpdateAccountSettingsRequest{MinimumThroughputCommitment: leatv1.CommitmentStatus_COMMITMENT_STATUS_DISABLED}
	if *cmd.Commit {
		req.MinimumThroughputCommitment = leatv1.CommitmentStatus_COMMITMENT_STATUS_ENABLED
	}
	res, err := cl.Account.UpdateAccountSettings(ctx, req)
	return res.GetSettings(), err
}

type settingsView struct {
	Commitment  string `json:"minimum_throughput_commitment"`
	Started     string `json:"commitment_start_time,omitempty"`
	EarliestEnd string `json:"commitment_earliest_end_time,omitempty"`
	Ended       string `json:"commitment_end_time,omitempty"`
}
