// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package rating

import (
	"iter"
	"math/big"
	"slices"
	"strings"
	"time"

	"github.com/shopspring/decimal"

	"github.com/leatstream/leat"
)

// Options of Rate.
type Options struct {
	Shares bool // tell what each stream's part in the lines is
}

// Rate turns the usage of a period into one bill for each account that has any, sorted by account. Usage of other hours is
// refused, and so is usage of a time before the book's first prices. Quantities of one stream and hour may come in
// several pieces, negative ones among them.
func Rate(book *Book, p Period, usage iter.Seq2[*Usage, error], o Options) ([]Bill, error) {
	r := rater{book: book, period: p, accounts: map[string]*account{}, streams: map[leat.StreamID]*stream{}}
	for u, err := range usage {
		if err != nil {
			return nil, err
		}
		if err := r.add(u, o.Shares); err != nil {
			return nil, err
		}
	}
	r.gather()
	names := make([]string, 0, len(r.accounts))
	for name := range r.accounts {
		names = append(names, name)
	}
	slices.Sort(names)
	bills := make([]Bill, 0, len(names))
	for _, name := range names {
		bills = append(bills, r.bill(name, r.accounts[name]))
	}
	return bills, nil
}

// rater adds up usage by what prices can tell apart: account, price list, mode, and stream where shares are wanted.
type rater struct {
	book     *Book
	period   Period
	accounts map[string]*account
	streams  map[leat.StreamID]*stream // only where shares are wanted

	lastHour int64 // of list
	list     int
	begun    bool
}

type account struct {
	totals  cells
	streams []*stream // only where shares are wanted
}

type stream struct {
	id      leat.StreamID
	account string
	totals  cells
}

// cells has a cell for each price list and mode that there was usage in: one or two.
type cells []*cell

type cell struct {
	list   int
	mode   leat.StreamMode
	totals [Meters]sum
}

func (c *cells) at(list int, mode leat.StreamMode) *cell {
	for _, have := range *c {
		if have.list == list && have.mode == mode {
			return have
		}
	}
	*c = append(*c, &cell{list: list, mode: mode})
	return (*c)[len(*c)-1]
}

func (c *cell) add(q *Quantities) {
	for m := range q {
		c.totals[m].add(q[m])
	}
}

func (r *rater) add(u *Usage, shares bool) error {
	if !r.begun || u.Hour != r.lastHour {
		if !r.period.has(u.Hour) {
			return leat.Errorf(leat.KindInternal, "usage of hour %d is not of %s", u.Hour, r.period)
		}
		r.begun, r.lastHour, r.list = true, u.Hour, r.book.at(u.Hour)
		if r.list < 0 {
			return leat.Invalid("price_book", "price book %s has no prices before %s, and there is usage at %s", r.book.Name,
				r.book.Prices[0].Effective.Format(time.DateOnly), time.UnixMicro(u.Hour).UTC().Format(time.RFC3339))
		}
	}
	if !shares {
		r.account(u.Account).totals.at(r.list, u.Mode).add(&u.Quantities)
		return nil
	}
	s := r.streams[u.Stream]
	if s == nil {
		s = &stream{id: u.Stream, account: u.Account}
		r.streams[u.Stream] = s
		a := r.account(u.Account)
		a.streams = append(a.streams, s)
	}
	if s.account != u.Account {
		return leat.Errorf(leat.KindInternal, "stream %s has usage of account %s and of %s", u.Stream, s.account, u.Account)
	}
	s.totals.at(r.list, u.Mode).add(&u.Quantities)
	return nil
}

func (r *rater) account(name string) *account {
	a := r.accounts[name]
	if a == nil {
		a = &account{}
		r.accounts[name] = a
	}
	return a
}

// gather sums streams up for their accounts.
func (r *rater) gather() {
	for _, a := range r.accounts {
		for _, s := range a.streams {
			for _, c := range s.totals {
				to := a.totals.at(c.list, c.mode)
				for m := range c.totals {
					to.totals[m].plus(c.totals[m])
				}
			}
		}
	}
}

// base is what an item counts in one list.
func base(all cells, list int, it *Item) decimal.Decimal {
	d := decimal.Zero
	for _, c := range all {
		if c.list == list && (it.Mode == "" || it.Mode == c.mode) && !c.totals[it.Meter].zero() {
			d = d.Add(c.totals[it.Meter].decimal())
		}
	}
	return d
}

func (s *sum) decimal() decimal.Decimal {
	n := new(big.Int).Lsh(big.NewInt(s.hi), 64)
	return decimal.NewFromBigInt(n.Add(n, new(big.Int).SetUint64(s.lo)), 0)
}

// bill prices one account.
func (r *rater) bill(name string, a *account) Bill {
	b := Bill{Account: name, Book: r.book.Name, Version: r.book.Version, Currency: r.book.Currency, Period: r.period}
	lists := r.lists()
	for _, item := range r.items(lists) {
		r.item(&b, a, lists, item)
	}
	if least := r.book.Prices[lists[len(lists)-1]].Minimum; least.IsPositive() && b.Total.LessThan(least) {
		b.add(Line{Kind: LineMinimum, Description: "Minimum of the month", From: r.period.Start, To: r.period.End, Amount: least.Sub(b.Total)})
	}
	if r.book.Rounding.Scope == RoundInvoice {
		if rounded := round(b.Total, decimal.NewFromInt(1), r.book.Rounding.Places, r.book.Rounding.Mode); !rounded.Equal(b.Total) {
			b.add(Line{Kind: LineRounding, Description: "Rounding", From: r.period.Start, To: r.period.End, Amount: rounded.Sub(b.Total)})
		}
	}
	return b
}

// lists are the price lists that hold somewhere in the period.
func (r *rater) lists() (all []int) {
	for i := range r.book.Prices {
		from, to := r.holds(i)
		if from.Before(to) {
			all = append(all, i)
		}
	}
	return all
}

// holds is the part of the period in which a list holds.
func (r *rater) holds(list int) (from, to time.Time) {
	from, to = r.period.Start, r.period.End
	if e := r.book.Prices[list].Effective; e.After(from) {
		from = e
	}
	if list+1 < len(r.book.Prices) {
		if e := r.book.Prices[list+1].Effective; e.Before(to) {
			to = e
		}
	}
	return from, to
}

// items are the names of all items in some lists, in the order in which they first appear.
func (r *rater) items(lists []int) (names []string) {
	for _, l := range lists {
		for i := range r.book.Prices[l].Items {
			if name := r.book.Prices[l].Items[i].Name; !slices.Contains(names, name) {
				names = append(names, name)
			}
		}
	}
	return names
}

// item writes the lines of one item: list after list, in each the allowance first and then tier after tier.
func (r *rater) item(b *Bill, a *account, lists []int, name string) {
	used, paid, amount := decimal.Zero, decimal.Zero, decimal.Zero // so far this month: base units, and money
	var last *Item
	seen := false
	for _, l := range lists {
		i := slices.IndexFunc(r.book.Prices[l].Items, func(it Item) bool { return it.Name == name })
		if i < 0 {
			continue
		}
		last = &r.book.Prices[l].Items[i]
		q := base(a.totals, l, last)
		if q.IsZero() {
			continue
		}
		seen = true
		w := writer{r: r, b: b, item: last, size: last.Unit.size(r.period)}
		w.from, w.to = r.holds(l)
		free := decimal.Min(q, decimal.Max(decimal.Zero, last.Free.Mul(w.size).Sub(used)))
		if free.IsPositive() {
			w.line(LineFree, 0, free, decimal.Zero)
		} else {
			free = decimal.Zero
		}
		before := b.Total
		w.tiers(paid, q.Sub(free))
		r.share(b, a, l, last, q, b.Total.Sub(before))
		used, paid, amount = used.Add(q), paid.Add(q).Sub(free), amount.Add(b.Total.Sub(before))
	}
	if seen && last.Minimum.IsPositive() && amount.LessThan(last.Minimum) {
		b.add(Line{Kind: LineMinimum, Item: name, Description: "Minimum of the month", From: r.period.Start, To: r.period.End, Amount: last.Minimum.Sub(amount)})
	}
}

// writer writes lines of one item and price list.
type writer struct {
	r        *rater
	b        *Bill
	item     *Item
	size     decimal.Decimal
	from, to time.Time
}

// tiers writes lines for n base units that come after those paid before. Negative ones go back the same way.
func (w *writer) tiers(paid, n decimal.Decimal) {
	lo, hi := paid, paid.Add(n)
	sign := decimal.NewFromInt(1)
	if n.IsNegative() {
		lo, hi, sign = hi, lo, sign.Neg()
	}
	begin := decimal.Decimal{}
	for i, t := range w.item.Tiers {
		end, open := t.UpTo.Mul(w.size), i == len(w.item.Tiers)-1
		from, to := decimal.Max(lo, begin), hi
		if i == 0 {
			from = lo // below zero is the first tier's
		}
		if !open {
			to = decimal.Min(hi, end)
		}
		if to.GreaterThan(from) {
			tier := i + 1
			if len(w.item.Tiers) == 1 {
				tier = 0
			}
			w.line(LineUsage, tier, to.Sub(from).Mul(sign), t.Price)
		}
		begin = end
	}
}

func (w *writer) line(kind LineKind, tier int, n, price decimal.Decimal) {
	it, rounding := w.item, w.r.book.Rounding
	places := rounding.Places
	if rounding.Scope == RoundInvoice {
		places = exactPlaces
	}
	w.b.add(Line{
		Kind: kind, Item: it.Name, Description: it.Description, Meter: it.Meter, Mode: it.Mode, From: w.from, To: w.to, Tier: tier,
		Base: n, Quantity: round(n, w.size, exactPlaces, HalfEven), Unit: it.Unit.Name, Per: it.Per, Price: price,
		Amount: round(n.Mul(price), w.size.Mul(it.Per), places, rounding.Mode),
	})
}

// share gives each stream its part of an amount, by its part of q. Amounts are cut down to the last digit, and what is left goes, a last
// digit each, to those that were cut most.
func (r *rater) share(b *Bill, a *account, list int, it *Item, q, amount decimal.Decimal) {
	if len(a.streams) == 0 || q.IsZero() {
		return
	}
	places := r.book.Rounding.Places
	if r.book.Rounding.Scope == RoundInvoice {
		places = exactPlaces
	}
	from, _ := r.holds(list)
	type cut struct {
		at   int
		rest decimal.Decimal
	}
	var cuts []cut
	left, first := amount, len(b.Shares)
	for _, s := range a.streams {
		n := base(s.totals, list, it)
		if n.IsZero() {
			continue
		}
		part, rest := amount.Mul(n).QuoRem(q, places)
		left = left.Sub(part)
		b.Shares = append(b.Shares, Share{Item: it.Name, Meter: it.Meter, From: from, Stream: s.id, Base: n, Amount: part, Quantity: round(n, it.Unit.size(r.period), exactPlaces, HalfEven), Unit: it.Unit.Name})
		cuts = append(cuts, cut{len(b.Shares) - 1, rest.Abs()})
	}
	slices.SortFunc(cuts, func(x, y cut) int {
		if c := y.rest.Cmp(x.rest); c != 0 {
			return c
		}
		return strings.Compare(b.Shares[x.at].Stream.String(), b.Shares[y.at].Stream.String())
	})
	step := decimal.New(1, -places)
	if left.IsNegative() {
		step = step.Neg()
	}
	for i := 0; i < len(cuts) && !left.IsZero(); i++ {
		s := &b.Shares[cuts[i].at]
		s.Amount = s.Amount.Add(step)
		left = left.Sub(step)
	}
	slices.SortFunc(b.Shares[first:], func(x, y Share) int { return strings.Compare(x.Stream.String(), y.Stream.String()) })
}

// round divides and rounds, once.
func round(n, by decimal.Decimal, places int32, mode RoundingMode) decimal.Decimal {
	q, rest := n.QuoRem(by, places)
	if rest.IsZero() {
		return q
	}
	step := decimal.New(int64(n.Sign()*by.Sign()), -places)
	// Twice the rest against the last digit's worth: below, in the middle, or above.
	half := rest.Abs().Mul(decimal.NewFromInt(2)).Cmp(by.Abs().Mul(decimal.New(1, -places)))
	up := false
	switch mode {
	case Up:
		up = true
	case Down:
	case HalfEven:
		up = half > 0 || half == 0 && !q.Shift(places).Mod(decimal.NewFromInt(2)).IsZero()
	default:
		up = half >= 0
	}
	if up {
		return q.Add(step)
	}
	return q
}
