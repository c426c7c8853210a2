// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/leatstream/leat"
)

// healthCmd is `leat health`: what a container's health check runs, where there is neither shell nor curl.
type healthCmd struct {
	Endpoint string        `name:"endpoint-http" default:"http://127.0.0.1:4567" env:"LEAT_ENDPOINT_HTTP" placeholder:"URL" help:"HTTP address of the server."`
	Live     bool          `help:"Ask only whether the process answers (/healthz), not whether it serves."`
	Timeout  time.Duration `default:"2s" help:"How long the answer may take."`
	trust    `embed:""`
}

// Help is shown by `leat health --help`.
func (healthCmd) Help() string {
	return "Asks /readyz of a server. Exit status 0: it takes and serves records. 1: it does not, and the reasons are told; a node that stands by for another one is not ready either."
}

// maxHealth is more than a health answer has.
const maxHealth = 64 << 10

// Run asks once.
func (c *healthCmd) Run(ctx context.Context, t *terminal) error {
	path := "/readyz"
	if c.Live {
		path = "/healthz"
	}
	base, cl, err := c.http(c.Endpoint)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, c.Timeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, base.String()+path, nil)
	if err != nil {
		return err
	}
	res, err := cl.Do(req)
	if err != nil {
		return leat.Errorf(leat.KindUnavailable, "nothing answers at %s: %w", base, err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(io.LimitReader(res.Body, maxHealth))
	if err != nil {
		return leat.Errorf(leat.KindUnavailable, "the answer of %s broke off: %w", base, err)
	}
	var answer struct {
		Status  string
		Reasons []string
	}
	if err := json.Unmarshal(body, &answer); err != nil || answer.Status == "" {
		return leat.Errorf(leat.KindUnavailable, "%s%s answers %s, but not as Leat does: give --endpoint-http the HTTP address of a Leat server", base, path, res.Status)
	}
	if res.StatusCode != http.StatusOK {
		return leat.Errorf(leat.KindUnavailable, "%s: %s", answer.Status, strings.Join(answer.Reasons, "; "))
	}
	fmt.Fprintln(t.out, answer.Status)
	return nil
}
