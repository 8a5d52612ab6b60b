package rest

import (
	"context"
	"net/http"

	"github.com/veranda-go/veranda/backend/listings"
	"github.com/veranda-go/veranda/internal/apierror"
	"github.com/veranda-go/veranda/internal/fastjson"
	"github.com/veranda-go/veranda/internal/httpapi"
	"github.com/veranda-go/veranda/publicapi"
)

// stream sends each new listing as a server-sent event (HTML standard, 9.2).
// A client that comes back with Last-Event-ID, as browsers do by themselves,
// misses nothing. One that begins now is told where that is, by an event
// "start" without data, so that it may also be cut off before its first
// listing.
func (d *Handler) stream(w http.ResponseWriter, r *http.Request) error {
	p, err := httpapi.Query(r)
	if err != nil {
		return err
	}
	userID := p.Int("user_id", 0)
	after, given := p.Text("after")
	if err := p.Err(); err != nil {
		return err
	}
	// The header is newer: a browser repeats the URL that it began with.
	if last := r.Header.Get("Last-Event-ID"); last != "" {
		after = last
	} else if given && after == "" {
		return apierror.Invalidf("after", "must not be empty")
	}
	start := after == ""
	if start {
		if after, err = d.api.FeedEnd(r.Context()); err != nil {
			return err
		}
	}
	follow, err := d.api.Follow(r.Context(), userID, after)
	if err != nil {
		return err
	}
	if r.Method == http.MethodHead {
		w.Header().Set("Content-Type", "text/event-stream; charset=utf-8")
		return nil // who wants no body cannot want one that does not end
	}
	events := httpapi.NewEvents(w, r, d.limits)
	defer events.Close()
	if start {
		events.Send("start", after, nil)
	}
	_ = follow(events.Done, func(batch []publicapi.ListingCreated) error { // ends with the client
		list := make([]listings.Listing, len(batch))
		for i, e := range batch {
			list[i] = *e.Listing
		}
		owners, errs := d.owners(d.api.WithLoaders(events.Done), list)
		for i := range batch {
			sent := events.Send("listing", batch[i].Cursor, func(b []byte) []byte {
				b = appendListing(b, &list[i], owners[i])
				if errs != nil && errs[i] != nil {
					// Its user may exist all the same.
					b = fastjson.AppendStrings(append(b[:len(b)-1], `,"errors":`...), apierror.From(errs[i]).Messages())
					b = append(b, '}')
				}
				return b
			})
			if !sent {
				return context.Canceled
			}
		}
		return nil
	})
	return nil
}
