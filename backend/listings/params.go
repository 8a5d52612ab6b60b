package listings

import (
	"github.com/veranda-go/veranda/internal/apierror"
	"github.com/veranda-go/veranda/internal/httpapi"
)

// ReadDraft reads a draft from a form or a JSON object. If a parameter has a
// field error, it adds those of Validate, so that a response has all of them;
// otherwise Validate is left to the caller.
func ReadDraft(p *httpapi.Params) Draft {
	d := Draft{
		UserID: p.RequiredInt("user_id"),
		Type:   Type(p.RequiredText("listing_type")),
		Price:  p.RequiredInt("price"),
	}
	if p.Err() != nil {
		p.AddErrors(d.Validate())
	}
	return d
}

// ReadQuery reads a query but for its user and its page. extended reports whether
// it has a parameter that is not documented.
func ReadQuery(p *httpapi.Params) (q Query, extended bool) {
	for _, name := range []string{
		"listing_type", "min_price", "max_price", "created_from", "created_before", "order", "after", "before", "paging",
	} {
		extended = extended || p.Has(name)
	}
	if text, ok := p.Text("listing_type"); ok {
		if q.Type = Type(text); text == "" { // which is no filter to Validate
			p.AddError("listing_type", typeRule)
		}
	}
	q.MinPrice, q.MaxPrice = p.Int("min_price", 0), p.Int("max_price", 0)
	q.CreatedFrom, q.CreatedBefore = p.Int("created_from", 0), p.Int("created_before", 0)
	if text, ok := p.Text("order"); ok {
		if q.Order, ok = ParseOrder(text); !ok {
			p.AddError("order", orderRule)
		}
	}
	q.After, q.Before = readCursor(p, "after"), readCursor(p, "before")
	if text, ok := p.Text("paging"); ok && text != "keyset" {
		p.AddError("paging", "must be keyset")
	}
	if p.Has("page_num") {
		for _, other := range []string{"after", "before", "paging"} {
			if p.Has(other) {
				p.AddErrors([]apierror.FieldError{{Field: "page_num", Message: "not together with", Other: other}})
			}
		}
	}
	p.AddErrors(q.Validate())
	return q, extended
}

func readCursor(p *httpapi.Params, name string) *Cursor {
	text, ok := p.Text(name)
	if !ok {
		return nil
	}
	c, err := ParseCursor(text)
	if err != nil {
		p.AddError(name, apierror.From(err).Fields[0].Message)
		return nil
	}
	return &c
}
