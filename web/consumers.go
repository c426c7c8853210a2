// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package web

import (
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/server/broker"
)

// consumerRow is a consumer with where it stands.
type consumerRow struct {
	broker.ConsumerDescription
	ARN       string
	Places    []broker.ConsumerPlace
	Connected int
	Behind    time.Duration // of the shard where it is furthest behind
	Lag       uint64        // of all shards
	Left      time.Duration // of the shard where records expire first
}

// consumerPage is the page of a stream's consumers.
type consumerPage struct {
	Stream broker.StreamDescription
	Rows   []consumerRow
	Polled []broker.ShardRate // shards that anybody has read
	Name   string
	Error  string
}

func (c *Console) consumers(w http.ResponseWriter, r *http.Request, s *session) error {
	return c.showConsumers(w, r, s, http.StatusOK, consumerPage{})
}

func (c *Console) showConsumers(w http.ResponseWriter, r *http.Request, s *session, status int, p consumerPage) error {
	d, _, err := c.describe(r, s)
	if err != nil {
		return err
	}
	p.Stream = d
	list, err := c.Broker.ListConsumers(r.Context(), s.who, broker.ListConsumersRequest{Stream: d.Name, PageSize: 1000})
	if err != nil {
		return err
	}
	at, err := c.Broker.ConsumerProgress(r.Context(), s.who, d.Name)
	if err != nil {
		return err
	}
	load, err := c.Broker.StreamLoad(r.Context(), s.who, d.Name)
	if err != nil {
		return err
	}
	for _, rate := range load.Shards {
		if rate.Total.RecordsOut > 0 {
			p.Polled = append(p.Polled, rate)
		}
	}
	for _, con := range list.Consumers {
		row := consumerRow{ConsumerDescription: con, ARN: con.ARN(d.ARN(c.Broker.Region())), Left: d.Retention}
		for _, place := range at {
			if place.Consumer != con.Name {
				continue
			}
			row.Places = append(row.Places, place)
			row.Behind, row.Left = max(row.Behind, place.Behind), min(row.Left, place.Left)
			row.Lag += place.Lag
			if place.Connected {
				row.Connected++
			}
		}
		p.Rows = append(p.Rows, row)
	}
	page := c.streamPage(d, "consumers", &p)
	page.Copy = snippets(
		fmt.Sprintf("leat consumer register %[1]s NAME\nleat consumer list %[1]s", d.Name),
		c.boto3("kinesis")+fmt.Sprintf("kinesis.register_stream_consumer(StreamARN=\"%s\", ConsumerName=\"NAME\")", d.ARN(c.Broker.Region())),
		fmt.Sprintf("resource \"aws_kinesis_stream_consumer\" \"name\" {\n  name       = \"NAME\"\n  stream_arn = \"%s\"\n}", d.ARN(c.Broker.Region())),
		"curl -s "+c.rest("/streams/"+d.Name+"/consumers")+c.authorization(),
	)
	c.show(w, r, s, status, "consumers", page)
	return nil
}

// changeConsumers registers or removes a consumer.
func (c *Console) changeConsumers(w http.ResponseWriter, r *http.Request, s *session) error {
	stream, done := r.PathValue("stream"), "registered"
	name := strings.TrimSpace(r.PostForm.Get("name"))
	var err error
	if remove := r.PostForm.Get("remove"); remove != "" {
		done = "deregistered"
		err = c.Broker.DeregisterConsumer(r.Context(), s.who, broker.ConsumerRequest{Stream: stream, Consumer: remove})
	} else {
		_, err = c.Broker.RegisterConsumer(r.Context(), s.who, broker.ConsumerRequest{Stream: stream, Consumer: name})
	}
	if err != nil {
		if keepsForm(err) {
			return c.showConsumers(w, r, s, statusOf(leat.KindOf(err)), consumerPage{Name: name, Error: told(err)})
		}
		return err
	}
	http.Redirect(w, r, streamPath(stream)+"/consumers?done="+done, http.StatusSeeOther)
	return nil
}
