package graph

import (
	"github.com/veranda-go/veranda/backend/listings"
	"github.com/veranda-go/veranda/graph/generated"
	"github.com/veranda-go/veranda/graph/scalar"
	"github.com/veranda-go/veranda/internal/apierror"
	"github.com/veranda-go/veranda/publicapi"
)

// readID reads the id of an argument, whose name is REST's.
func readID(name, text string) (int64, error) {
	id, err := scalar.UnmarshalID(text)
	if err != nil {
		return 0, apierror.Invalidf(name, "%s", apierror.From(err).Fields[0].Message)
	}
	return id, nil
}

// optionalID returns 0 for an argument that is absent or null.
func optionalID(name string, text *string) (int64, error) {
	if text == nil {
		return 0, nil
	}
	return readID(name, *text)
}

func window(first *int, after *string, last *int, before *string) publicapi.Window {
	return publicapi.Window{First: wide(first), After: after, Last: wide(last), Before: before}
}

func wide(n *int) *int64 {
	if n == nil {
		return nil
	}
	w := int64(*n)
	return &w
}

func readFilter(in *generated.ListingFilter) (listings.Filter, error) {
	var f listings.Filter
	if in == nil {
		return f, nil
	}
	if in.UserID != nil {
		id, err := readID("user_id", *in.UserID)
		if err != nil {
			return f, err
		}
		f.UserID = id
	}
	if in.ListingType != nil {
		f.Type = *in.ListingType
	}
	var errs []apierror.FieldError
	for _, n := range []struct {
		name     string
		to, from *int64
	}{
		{"min_price", &f.MinPrice, in.MinPrice}, {"max_price", &f.MaxPrice, in.MaxPrice},
		{"created_from", &f.CreatedFrom, in.CreatedFrom}, {"created_before", &f.CreatedBefore, in.CreatedBefore},
	} {
		if n.from == nil {
			continue
		}
		if *n.from < 1 { // 0 would be no filter
			errs = append(errs, apierror.FieldError{Field: n.name, Message: "must be at least 1"})
		}
		*n.to = *n.from
	}
	return f, apierror.FromFields(errs)
}
