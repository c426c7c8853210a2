// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package web

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/leatstream/leat"
	"github.com/leatstream/leat/server/broker"
	"github.com/leatstream/leat/server/delivery/spec"
)

// The bounds of these pages.
const (
	deliveriesAPage = 50
	objectsAPage    = 50
	lastObjects     = 8
	verifyWithin    = 2 * time.Minute
)

// delivery is the path of one delivery stream.
const delivery = Root + "/deliveries/{delivery}"

// deliveryState is a delivery stream, and how it does.
type deliveryState struct {
	spec.Description
	Source, Format, Destination string
	Behind                      time.Duration // of the shard that is furthest behind
	Left                        uint64        // records that are not delivered
	Moved                       uint64        // records that are
	Newest                      time.Time     // arrival of the last record that is
	Waits                       []spec.Progress
}

// Known tells whether it could be described.
func (d *deliveryState) Known() bool { return d.ID != "" }

// Does is its state, or that it waits.
func (d *deliveryState) Does() string {
	if d.State == spec.Active && len(d.Waits) > 0 {
		return "WAITING"
	}
	return string(d.State)
}

func stateOfDelivery(d *spec.Description) deliveryState {
	c := &d.Config
	s := deliveryState{Description: *d, Source: c.Source.Stream, Format: formatOf(c), Destination: destinationOf(c)}
	for _, p := range d.Shards {
		s.Behind, s.Left, s.Moved = max(s.Behind, p.Lag), s.Left+p.Tail-p.Next, s.Moved+p.Next-p.Start
		if p.Delivered.After(s.Newest) {
			s.Newest = p.Delivered
		}
		if p.Reason != "" {
			s.Waits = append(s.Waits, p)
		}
	}
	return s
}

func formatOf(c *spec.Config) string {
	text := strings.ReplaceAll(string(c.Format.Kind), "_", " ")
	if c.Compression != "" && c.Compression != spec.None {
		text += ", " + strings.ReplaceAll(string(c.Compression), "_", " ")
	}
	return text
}

func destinationOf(c *spec.Config) string {
	if c.Destination.HTTP != nil {
		url, _, _ := strings.Cut(c.Destination.HTTP.URL, "?") // what comes after may be a secret
		return url
	}
	if c.Destination.S3 == nil {
		return "–"
	}
	return "s3://" + c.Destination.S3.Bucket + "/" + c.Naming.Prefix
}

func (c *Console) deliveries(w http.ResponseWriter, r *http.Request, s *session) error {
	res, err := c.Broker.ListDeliveries(r.Context(), s.who, broker.ListDeliveriesRequest{PageToken: r.URL.Query().Get("page"), PageSize: deliveriesAPage})
	if err != nil {
		return err
	}
	var rows []deliveryState
	for i := range res.Deliveries {
		d, err := c.Broker.DescribeDelivery(r.Context(), s.who, res.Deliveries[i].Name)
		switch {
		case err == nil:
			rows = append(rows, stateOfDelivery(&d))
		case leat.KindOf(err) == leat.KindNotFound: // deleted a moment ago
		case leat.KindOf(err) == leat.KindAccessDenied: // who may list may see names
			rows = append(rows, deliveryState{Description: spec.Description{Delivery: spec.Delivery{Name: res.Deliveries[i].Name}}})
		default:
			return err
		}
	}
	c.show(w, r, s, http.StatusOK, "deliveries", &page{
		Title: "Deliveries", Nav: "deliveries", Body: map[string]any{"Rows": rows, "Next": res.NextPageToken, "Page": r.URL.Query().Get("page"), "Create": createDelivery},
		Copy: snippets("leat delivery list\n\n# make one\n"+createDelivery, c.boto3("firehose")+`print(firehose.list_delivery_streams()["DeliveryStreamNames"])`, "", "curl -s "+c.rest("/deliveries")+c.authorization()),
	})
	return nil
}

// createDelivery is how a delivery stream is made: its configuration is too much for a form.
const createDelivery = `leat delivery create NAME --stream STREAM --bucket BUCKET \
     --prefix 'logs/!{timestamp:yyyy/MM/dd}/' --format json_lines --compression gzip`

// deliveryPage is the page of a delivery stream.
type deliveryPage struct {
	deliveryState
	Tab      string
	Objects  []spec.Written
	Backfill backfillForm
	Report   *spec.Report
	Verified string // a backfill
	Error    string // of an action
}

// backfillForm is the form of a backfill, as it was filled in.
type backfillForm struct{ From, To, Format, Prefix, Error string }

// deliveryFrame is what pages about a delivery stream have in common.
func (c *Console) deliveryFrame(name string, body any) *page {
	return &page{
		Title: name, Nav: "deliveries", Crumbs: []crumb{{"Deliveries", Root + "/deliveries"}}, Body: body,
		Copy: snippets(
			fmt.Sprintf("leat delivery describe %[1]s\nleat delivery pause %[1]s\nleat delivery resume %[1]s\nleat delivery verify %[1]s\nleat delivery backfill %[1]s --from 2026-11-01T00:00:00Z", name),
			c.boto3("firehose")+fmt.Sprintf("print(firehose.describe_delivery_stream(DeliveryStreamName=\"%s\"))", name), "", "curl -s "+c.rest("/deliveries/"+name)+c.authorization()),
	}
}

func (c *Console) delivery(w http.ResponseWriter, r *http.Request, s *session) error {
	return c.showDelivery(w, r, s, http.StatusOK, deliveryPage{})
}

func (c *Console) showDelivery(w http.ResponseWriter, r *http.Request, s *session, status int, p deliveryPage) error {
	d, err := c.Broker.DescribeDelivery(r.Context(), s.who, r.PathValue("delivery"))
	if err != nil {
		return err
	}
	p.deliveryState, p.Tab = stateOfDelivery(&d), "overview"
	if p.Objects, _, err = c.Broker.ListDeliveryObjects(r.Context(), s.who, broker.ListDeliveryObjectsRequest{Delivery: d.Name, PageSize: lastObjects}); err != nil {
		return err
	}
	c.show(w, r, s, status, "delivery", c.deliveryFrame(d.Name, &p))
	return nil
}

// deliveryObjects lists what was written: all of it, or the error prefix.
func (c *Console) deliveryObjects(w http.ResponseWriter, r *http.Request, s *session) error {
	d, err := c.Broker.DescribeDelivery(r.Context(), s.who, r.PathValue("delivery"))
	if err != nil {
		return err
	}
	p := deliveryPage{deliveryState: stateOfDelivery(&d), Tab: "objects"}
	failed := strings.HasSuffix(r.URL.Path, "/errors")
	if failed {
		p.Tab = "errors"
	}
	var next string
	p.Objects, next, err = c.Broker.ListDeliveryObjects(r.Context(), s.who, broker.ListDeliveryObjectsRequest{
		Delivery: d.Name, Failed: failed, PageToken: r.URL.Query().Get("page"), PageSize: objectsAPage,
	})
	if err != nil {
		return err
	}
	f := c.deliveryFrame(d.Name, &p)
	f.Body = map[string]any{"D": &p, "Next": next, "Prefix": d.Config.Naming.ErrorPrefix}
	c.show(w, r, s, http.StatusOK, "delivery-objects", f)
	return nil
}

// failedRow is a record in the error prefix.
type failedRow struct {
	spec.FailedRecord
	Shown decoded
	Link  string // to the record in its stream; empty: it has none
}

// failedRecords shows an object of the error prefix.
func (c *Console) failedRecords(w http.ResponseWriter, r *http.Request, s *session) error {
	name := r.PathValue("delivery")
	d, err := c.Broker.DescribeDelivery(r.Context(), s.who, name)
	if err != nil {
		return err
	}
	f, err := c.Broker.ReadFailedRecords(r.Context(), s.who, name, r.PathValue("object"))
	if err != nil {
		return err
	}
	p := deliveryPage{deliveryState: stateOfDelivery(&d), Tab: "errors"}
	const most = 300
	var rows []failedRow
	for _, one := range f.Records {
		row := failedRow{FailedRecord: one, Shown: decode(one.Data, most)}
		if ordinal, err := leat.ParseShardID(one.Shard); err == nil && p.Source != "" && one.Sequence != "" {
			row.Link = fmt.Sprintf("%s/data/%d/%s", streamPath(p.Source), ordinal, one.Sequence)
		}
		rows = append(rows, row)
	}
	page := c.deliveryFrame(name, map[string]any{"D": &p, "Object": f.Object, "Rows": rows, "More": f.More})
	c.show(w, r, s, http.StatusOK, "delivery-failed", page)
	return nil
}

// changeDelivery pauses or resumes a delivery stream.
func (c *Console) changeDelivery(w http.ResponseWriter, r *http.Request, s *session) error {
	name := r.PathValue("delivery")
	state, done := spec.Active, "resumed"
	if r.PostForm.Get("do") == "pause" {
		state, done = spec.Paused, "paused"
	}
	if _, err := c.Broker.UpdateDelivery(r.Context(), s.who, broker.UpdateDeliveryRequest{Delivery: name, Change: spec.Change{State: state}}); err != nil {
		if keepsForm(err) {
			return c.showDelivery(w, r, s, statusOf(leat.KindOf(err)), deliveryPage{Error: told(err)})
		}
		return err
	}
	http.Redirect(w, r, Root+"/deliveries/"+name+"?done="+done, http.StatusSeeOther)
	return nil
}

// backfillDelivery begins a backfill.
func (c *Console) backfillDelivery(w http.ResponseWriter, r *http.Request, s *session) error {
	name := r.PathValue("delivery")
	f := backfillForm{From: r.PostForm.Get("from"), To: r.PostForm.Get("to"), Format: r.PostForm.Get("format"), Prefix: strings.TrimSpace(r.PostForm.Get("prefix"))}
	req := broker.BackfillDeliveryRequest{Delivery: name, Prefix: f.Prefix}
	var err error
	if req.From, err = parseTime("from", f.From); err == nil && strings.TrimSpace(f.To) != "" {
		req.To, err = parseTime("to", f.To)
	}
	if f.Format != "" {
		req.Format = &spec.Format{Kind: spec.FormatKind(f.Format)}
	}
	if err == nil {
		_, err = c.Broker.BackfillDelivery(r.Context(), s.who, req)
	}
	if err != nil {
		if keepsForm(err) {
			f.Error = told(err)
			return c.showDelivery(w, r, s, statusOf(leat.KindOf(err)), deliveryPage{Backfill: f})
		}
		return err
	}
	http.Redirect(w, r, Root+"/deliveries/"+name+"?done=backfill#backfills", http.StatusSeeOther)
	return nil
}

// verifyDelivery proves what was delivered, and shows the report.
func (c *Console) verifyDelivery(w http.ResponseWriter, r *http.Request, s *session) error {
	ctx, cancel := context.WithTimeout(r.Context(), verifyWithin)
	defer cancel()
	p := deliveryPage{Verified: r.PostForm.Get("backfill")}
	report, err := c.Broker.VerifyDelivery(ctx, s.who, broker.VerifyDeliveryRequest{
		Delivery: r.PathValue("delivery"), Options: spec.VerifyOptions{Backfill: p.Verified, Deep: r.PostForm.Get("deep") == "yes"},
	})
	switch {
	case err != nil && ctx.Err() != nil && r.Context().Err() == nil:
		p.Error = "This takes longer than a page waits. The command in “Copy as” has the time that it needs."
		return c.showDelivery(w, r, s, http.StatusServiceUnavailable, p)
	case err != nil && keepsForm(err):
		p.Error = told(err)
		return c.showDelivery(w, r, s, statusOf(leat.KindOf(err)), p)
	case err != nil:
		return err
	}
	p.Report = &report
	return c.showDelivery(w, r, s, http.StatusOK, p)
}

// backfillProgress is how far a backfill is.
type backfillProgress struct {
	Done, All uint64 // records
	Reason    string // why it does not go on
}

// Share is 0 to 1.
func (p backfillProgress) Share() float64 {
	if p.All == 0 {
		return 1
	}
	return float64(p.Done) / float64(p.All)
}

func progressOf(b spec.Backfill) (p backfillProgress) {
	for _, s := range b.Shards {
		p.Done, p.All = p.Done+s.Next-s.Start, p.All+s.Tail-s.Start
		if s.Reason != "" {
			p.Reason = s.Reason
		}
	}
	return p
}
