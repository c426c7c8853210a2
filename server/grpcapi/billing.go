// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package grpcapi

import (
	"context"
	"time"

	"github.com/shopspring/decimal"

	"github.com/leatstream/leat"
	leatv1 "github.com/leatstream/leat/api/leat/v1"
	"github.com/leatstream/leat/billing"
	"github.com/leatstream/leat/billing/rating"
	"github.com/leatstream/leat/server/broker"
)

type billingService struct {
	leatv1.UnimplementedBillingServiceServer
	*Server
}

func (s billingService) GetUsage(ctx context.Context, req *leatv1.GetUsageRequest) (*leatv1.GetUsageResponse, error) {
	r := broker.UsageRequest{Account: req.GetAccount(), From: req.GetStartTime().AsTime(), To: req.GetEndTime().AsTime()}
	if id := req.GetStreamId(); id != "" {
		var err error
		if r.Stream, err = leat.ParseID[leat.StreamID](id); err != nil {
			return nil, leat.Invalid("stream_id", "%v", err)
		}
	}
	rows, err := s.broker.GetUsage(ctx, principal(ctx), r)
	if err != nil {
		return nil, err
	}
	out := &leatv1.GetUsageResponse{}
	for i := range rows {
		u := &rows[i]
		row := &leatv1.UsageRow{StreamName: u.Name, StreamId: u.Stream.String(), Mode: modeOf(u.Mode), Quantities: map[string]int64{}}
		if u.Hour > 0 {
			row.Hour = stamp(time.UnixMicro(u.Hour))
		}
		for m, n := range u.Quantities {
			if n != 0 {
				row.Quantities[rating.Meter(m).String()] = n
			}
		}
		out.Rows = append(out.Rows, row)
	}
	return out, nil
}

func (s billingService) ListInvoices(ctx context.Context, req *leatv1.ListInvoicesRequest) (*leatv1.ListInvoicesResponse, error) {
	all, err := s.broker.ListInvoices(ctx, principal(ctx), req.GetAccount())
	if err != nil {
		return nil, err
	}
	out := &leatv1.ListInvoicesResponse{}
	for i := range all {
		v := invoiceOf(&all[i], nil)
		v.Lines = nil
		out.Invoices = append(out.Invoices, v)
	}
	return out, nil
}

func (s billingService) GetInvoice(ctx context.Context, req *leatv1.GetInvoiceRequest) (*leatv1.GetInvoiceResponse, error) {
	n, err := s.broker.GetInvoice(ctx, principal(ctx), req.GetAccount(), req.GetMonth(), req.GetWithShares())
	if err != nil {
		return nil, err
	}
	return &leatv1.GetInvoiceResponse{Invoice: invoiceOf(&n.Invoice, n.Names)}, nil
}

// formats is in the order of the proto's numbers.
var formats = [...]billing.Format{
	leatv1.InvoiceFormat_INVOICE_FORMAT_JSON:  billing.FormatJSON,
	leatv1.InvoiceFormat_INVOICE_FORMAT_CSV:   billing.FormatCSV,
	leatv1.InvoiceFormat_INVOICE_FORMAT_PDF:   billing.FormatPDF,
	leatv1.InvoiceFormat_INVOICE_FORMAT_FOCUS: billing.FormatFOCUS,
}

func (s billingService) ExportInvoice(ctx context.Context, req *leatv1.ExportInvoiceRequest) (*leatv1.ExportInvoiceResponse, error) {
	f, err := s.broker.ExportInvoice(ctx, principal(ctx), req.GetAccount(), req.GetMonth(), named(formats[:], req.GetFormat()))
	if err != nil {
		return nil, err
	}
	return &leatv1.ExportInvoiceResponse{Content: f.Content, ContentType: f.Type, FileName: f.Name}, nil
}

func (s billingService) CloseInvoice(ctx context.Context, req *leatv1.CloseInvoiceRequest) (*leatv1.CloseInvoiceResponse, error) {
	inv, err := s.broker.CloseInvoice(ctx, principal(ctx), req.GetAccount(), req.GetMonth())
	if err != nil {
		return nil, err
	}
	return &leatv1.CloseInvoiceResponse{Invoice: invoiceOf(&inv, nil)}, nil
}

func (s billingService) AddInvoiceEntry(ctx context.Context, req *leatv1.AddInvoiceEntryRequest) (*leatv1.AddInvoiceEntryResponse, error) {
	amount, err := decimal.NewFromString(req.GetAmount())
	if err != nil {
		return nil, leat.Invalid("amount", "%q is not a decimal", req.GetAmount())
	}
	inv, err := s.broker.AddInvoiceEntry(ctx, principal(ctx), billing.Entry{
		ID: req.GetEntryId(), Account: req.GetAccount(), Month: req.GetMonth(), Amount: amount, Reason: req.GetReason(),
	})
	if err != nil {
		return nil, err
	}
	return &leatv1.AddInvoiceEntryResponse{Invoice: invoiceOf(&inv, nil)}, nil
}

func (s billingService) EstimateCost(ctx context.Context, req *leatv1.EstimateCostRequest) (*leatv1.EstimateCostResponse, error) {
	inv, err := s.broker.EstimateCost(ctx, principal(ctx), req.GetPriceBook(), billing.Load{
		Mode: modeFrom(req.GetMode()), Shards: int(req.GetShardCount()), RecordsPerSecond: req.GetRecordsPerSecond(), RecordBytes: req.GetRecordBytes(),
		Retention: time.Duration(req.GetRetentionHours()) * time.Hour, Readers: int(req.GetReaders()), Consumers: int(req.GetConsumers()),
	})
	if err != nil {
		return nil, err
	}
	return &leatv1.EstimateCostResponse{Estimate: invoiceOf(&inv, nil)}, nil
}

func (s billingService) FindSavings(ctx context.Context, req *leatv1.FindSavingsRequest) (*leatv1.FindSavingsResponse, error) {
	found, err := s.broker.FindSavings(ctx, principal(ctx), req.GetAccount())
	if err != nil {
		return nil, err
	}
	out := &leatv1.FindSavingsResponse{StartTime: stamp(found.From), EndTime: stamp(found.To), Currency: found.Currency}
	for i := range found.All {
		v := &found.All[i]
		out.Savings = append(out.Savings, &leatv1.Saving{
			Kind: v.Kind, StreamName: v.Name, StreamId: v.Stream.String(), ConsumerName: v.Consumer, Reason: v.Reason,
			ShardsNeeded: int32(v.Needed), ShardCount: int32(v.Shards), MonthlyAmount: v.Monthly.String(),
		})
	}
	return out, nil
}

func invoiceOf(inv *billing.Invoice, names map[leat.StreamID]string) *leatv1.Invoice {
	out := &leatv1.Invoice{
		Number: int64(inv.Number), Account: inv.Account, Month: inv.Period.String(), Status: leatv1.InvoiceStatus_INVOICE_STATUS_DRAFT, Currency: inv.Currency,
		Total: inv.Total.String(), PriceBook: inv.Book, PriceBookVersion: int32(inv.Version), StartTime: stamp(inv.Period.Start), EndTime: stamp(inv.Period.End),
		CloseTime: stamp(inv.Closed), ThroughTime: stamp(inv.Through),
	}
	if inv.Number > 0 {
		out.Status = leatv1.InvoiceStatus_INVOICE_STATUS_CLOSED
	}
	for i := range inv.Lines {
		l := &inv.Lines[i]
		line := &leatv1.InvoiceLine{
			Kind: string(l.Kind), Item: l.Item, Description: l.Description, StartTime: stamp(l.From), EndTime: stamp(l.To), Tier: int32(l.Tier),
			Amount: l.Amount.String(), Reason: l.Reason,
		}
		if l.Kind == rating.LineUsage || l.Kind == rating.LineFree {
			line.Meter, line.Quantity, line.Unit, line.Per, line.Price = l.Meter.String(), l.Quantity.String(), l.Unit, l.Per.String(), l.Price.String()
		}
		out.Lines = append(out.Lines, line)
	}
	for i := range inv.Shares {
		s := &inv.Shares[i]
		out.Shares = append(out.Shares, &leatv1.InvoiceShare{
			Item: s.Item, StreamName: names[s.Stream], StreamId: s.Stream.String(), Meter: s.Meter.String(), Quantity: s.Base.String(), Amount: s.Amount.String(), StartTime: stamp(s.From),
		})
	}
	return out
}
