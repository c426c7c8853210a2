// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package rating

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/shopspring/decimal"
	"gopkg.in/yaml.v3"

	"github.com/leatstream/leat"
)

// ParseBook reads a price book in YAML. Everything that is wrong with it is told at once, each with its line and field.
func ParseBook(text []byte) (*Book, error) {
	var doc yaml.Node
	if err := yaml.Unmarshal(text, &doc); err != nil {
		return nil, leat.Invalid("price_book", "%s", strings.TrimPrefix(err.Error(), "yaml: "))
	}
	r := &reader{}
	b := &Book{Zone: time.UTC, Rounding: Rounding{Places: 2, Mode: HalfUp, Scope: RoundLines}, Version: 1, Text: string(text)}
	if len(doc.Content) == 0 {
		r.fail(&doc, "", "the book is empty")
	} else {
		r.book(b, doc.Content[0])
	}
	if err := errors.Join(r.errs...); err != nil {
		return nil, leat.Invalid("price_book", "%s", err.Error())
	}
	return b, nil
}

// reader walks the nodes and gathers what is wrong.
type reader struct {
	zone *time.Location
	errs []error
}

func (r *reader) fail(n *yaml.Node, field, format string, args ...any) {
	at := fmt.Sprintf("line %d", n.Line)
	if field != "" {
		at += ": " + field
	}
	r.errs = append(r.errs, errors.New(at+": "+fmt.Sprintf(format, args...)))
}

// object is a mapping whose fields are taken one by one; what is left is refused.
type object struct {
	r      *reader
	node   *yaml.Node
	path   string
	fields map[string]*yaml.Node
	order  []*yaml.Node // keys
	known  []string
}

func (r *reader) object(n *yaml.Node, path string) *object {
	o := &object{r: r, node: n, path: path, fields: map[string]*yaml.Node{}}
	if n.Kind != yaml.MappingNode {
		r.fail(n, path, "must have fields, as name: value")
		return o
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		if o.fields[key.Value] != nil {
			r.fail(key, o.sub(key.Value), "is given twice")
		}
		if value.Kind == yaml.AliasNode {
			value = value.Alias
		}
		o.fields[key.Value] = value
		o.order = append(o.order, key)
	}
	return o
}

func (o *object) sub(name string) string {
	if o.path == "" {
		return name
	}
	return o.path + "." + name
}

// take returns a field; nil when it is not there.
func (o *object) take(name string) *yaml.Node {
	o.known = append(o.known, name)
	return o.fields[name]
}

func (o *object) end() {
	for _, key := range o.order {
		if !slices.Contains(o.known, key.Value) {
			o.r.fail(key, o.sub(key.Value), "is not known here; there are %s", strings.Join(o.known, ", "))
		}
	}
}

// text reads a field that MUST be there when it is required.
func (o *object) text(name string, required bool) string {
	n := o.take(name)
	switch {
	case n == nil:
		if required {
			o.r.fail(o.node, o.sub(name), "is missing")
		}
		return ""
	case n.Kind != yaml.ScalarNode:
		o.r.fail(n, o.sub(name), "must be a single value")
		return ""
	case required && n.Value == "":
		o.r.fail(n, o.sub(name), "is empty")
	}
	return n.Value
}

// one reads a field that is one of some words; the first when it is not there.
func (o *object) one(name string, words ...string) string {
	n := o.fields[name]
	v := o.text(name, false)
	if n == nil {
		return words[0]
	}
	if !slices.Contains(words, v) {
		o.r.fail(n, o.sub(name), "is %q: say %s", v, strings.Join(words, " or "))
	}
	return v
}

var decimalForm = regexp.MustCompile(`^[0-9]{1,18}(\.[0-9]{1,18})?$`)

// number reads a decimal that is not negative.
func (o *object) number(name string, otherwise decimal.Decimal) decimal.Decimal {
	n := o.fields[name]
	v := o.text(name, false)
	if n == nil {
		return otherwise
	}
	if !decimalForm.MatchString(v) {
		o.r.fail(n, o.sub(name), "is %q: give a decimal such as 0.015, not negative, without exponent, with up to 18 digits on each side", v)
		return otherwise
	}
	return decimal.RequireFromString(v)
}

func (o *object) integer(name string, least, most, otherwise int) int {
	n := o.fields[name]
	v := o.text(name, false)
	if n == nil {
		return otherwise
	}
	i, err := strconv.Atoi(v)
	if err != nil || i < least || i > most {
		o.r.fail(n, o.sub(name), "is %q: give a whole number from %d to %d", v, least, most)
		return otherwise
	}
	return i
}

// list returns the entries of a field that MUST be there and not empty.
func (o *object) list(name string) []*yaml.Node {
	n := o.take(name)
	switch {
	case n == nil:
		o.r.fail(o.node, o.sub(name), "is missing")
	case n.Kind != yaml.SequenceNode || len(n.Content) == 0:
		o.r.fail(n, o.sub(name), "must be a list with one entry at least")
	default:
		return n.Content
	}
	return nil
}

var (
	bookName = regexp.MustCompile(`^[a-z0-9][a-z0-9._-]{0,63}$`)
	currency = regexp.MustCompile(`^[A-Z]{3}$`)
)

func (r *reader) book(b *Book, n *yaml.Node) {
	o := r.object(n, "")
	b.Name = o.text("book", true)
	if b.Name != "" && !bookName.MatchString(b.Name) {
		r.fail(o.fields["book"], "book", "is %q: use 1 to 64 of a-z, 0-9, dot, dash and underscore", b.Name)
	}
	b.Version = o.integer("version", 1, 1<<30, 1)
	b.Note = o.text("note", false)
	b.Currency = o.text("currency", true)
	if b.Currency != "" && !currency.MatchString(b.Currency) {
		r.fail(o.fields["currency"], "currency", "is %q: give the three capital letters of ISO 4217, such as USD", b.Currency)
	}
	r.zone = r.timezone(o)
	b.Zone = r.zone
	if n := o.take("rounding"); n != nil {
		b.Rounding = r.rounding(n)
	}
	entries := o.list("prices")
	for i, n := range entries {
		path := fmt.Sprintf("prices[%d]", i)
		l := r.priceList(n, path)
		if i > 0 && !l.Effective.After(b.Prices[i-1].Effective) {
			r.fail(n, path+".effective", "must be after the one before it")
		}
		b.Prices = append(b.Prices, l)
	}
	o.end()
	r.consistent(b, entries)
}

func (r *reader) timezone(o *object) *time.Location {
	name := o.text("timezone", false)
	if name == "" {
		return time.UTC
	}
	zone, err := time.LoadLocation(name)
	if err != nil || name == "Local" {
		r.fail(o.fields["timezone"], "timezone", "%q is not known: give a name such as Europe/Berlin, or UTC", name)
		return time.UTC
	}
	return zone
}

func (r *reader) rounding(n *yaml.Node) Rounding {
	o := r.object(n, "rounding")
	defer o.end()
	return Rounding{
		Places: int32(o.integer("places", 0, exactPlaces, 2)),
		Mode:   RoundingMode(o.one("mode", string(HalfUp), string(HalfEven), string(Up), string(Down))),
		Scope:  RoundingScope(o.one("scope", string(RoundLines), string(RoundInvoice))),
	}
}

func (r *reader) priceList(n *yaml.Node, path string) (l PriceList) {
	o := r.object(n, path)
	defer o.end()
	if date := o.text("effective", true); date != "" {
		var err error
		if l.Effective, err = time.ParseInLocation(time.DateOnly, date, r.zone); err != nil {
			r.fail(o.fields["effective"], o.sub("effective"), "%q is not a date: give it as 2026-11-01", date)
		}
	}
	l.Minimum = o.number("minimum", decimal.Zero)
	seen := map[string]bool{}
	for i, n := range o.list("items") {
		item := r.item(n, fmt.Sprintf("%s.items[%d]", path, i))
		if seen[item.Name] && item.Name != "" {
			r.fail(n, fmt.Sprintf("%s.items[%d].name", path, i), "%q is there twice", item.Name)
		}
		seen[item.Name] = true
		l.Items = append(l.Items, item)
	}
	return l
}

func (r *reader) item(n *yaml.Node, path string) (it Item) {
	o := r.object(n, path)
	defer o.end()
	it.Name = o.text("name", true)
	it.Description = o.text("description", false)
	name := o.text("meter", true)
	meter, known := ParseMeter(name)
	it.Meter = meter
	if !known && name != "" {
		var all []string
		for m := range Meters {
			all = append(all, m.String())
		}
		r.fail(o.fields["meter"], o.sub("meter"), "%q is not known; there are %s", name, strings.Join(all, ", "))
	}
	it.Mode = leat.StreamMode(o.one("mode", "", string(leat.ModeProvisioned), string(leat.ModeOnDemand)))
	if unit := o.text("unit", true); known && unit != "" {
		var ok bool
		if it.Unit, ok = unitOf(meter, unit); !ok {
			r.fail(o.fields["unit"], o.sub("unit"), "%s cannot be priced by %q: say %s", meter, unit, unitNames(meter))
		}
	}
	it.Per = o.number("per", decimal.NewFromInt(1))
	if it.Per.IsZero() {
		r.fail(o.fields["per"], o.sub("per"), "must be above 0")
	}
	it.Free = o.number("free", decimal.Zero)
	it.Minimum = o.number("minimum", decimal.Zero)
	it.Tiers = r.tiers(o)
	return it
}

// tiers reads price, or tiers.
func (r *reader) tiers(o *object) (tiers []Tier) {
	price, list := o.fields["price"], o.fields["tiers"]
	if (price == nil) == (list == nil) {
		o.take("price")
		o.take("tiers")
		r.fail(o.node, o.sub("price"), "give either price or tiers")
		return nil
	}
	if price != nil {
		o.take("tiers")
		return []Tier{{Price: o.number("price", decimal.Zero)}}
	}
	o.take("price")
	entries := o.list("tiers")
	for i, n := range entries {
		path := fmt.Sprintf("%s[%d]", o.sub("tiers"), i)
		t := r.object(n, path)
		if t.fields["price"] == nil {
			r.fail(n, path+".price", "is missing")
		}
		tier := Tier{Price: t.number("price", decimal.Zero), UpTo: t.number("up_to", decimal.Zero)}
		last := i == len(entries)-1
		switch open := t.fields["up_to"] == nil; {
		case last && !open:
			r.fail(n, path+".up_to", "the last tier has no end: leave it out")
		case !last && open:
			r.fail(n, path+".up_to", "is missing: only the last tier has no end")
		case !last && (tier.UpTo.IsZero() || i > 0 && tier.UpTo.LessThanOrEqual(tiers[i-1].UpTo)):
			r.fail(n, path+".up_to", "must be above the one before it")
		}
		t.end()
		tiers = append(tiers, tier)
	}
	return tiers
}

// consistent looks over the lists: what a month counts over a price change must be the same thing on both sides of it.
func (r *reader) consistent(b *Book, entries []*yaml.Node) {
	first := map[string]Item{}
	for i, l := range b.Prices {
		for j, it := range l.Items {
			was, ok := first[it.Name]
			if !ok {
				first[it.Name] = it
				continue
			}
			if was.Meter != it.Meter || was.Mode != it.Mode || was.Unit != it.Unit {
				r.fail(entries[i], fmt.Sprintf("prices[%d].items[%d]", i, j), "%q has another meter, mode or unit than before: give it another name", it.Name)
			}
		}
	}
}
