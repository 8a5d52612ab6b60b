package rest

import (
	"context"
	"net/http"

	"github.com/veranda-go/veranda/backend/listings"
	"github.com/veranda-go/veranda/internal/fault"
	"github.com/veranda-go/veranda/internal/wire"
	"github.com/veranda-go/veranda/publicapi"
)

// stream sends each new listing as a server-sent event (HTML standard, 9.2).
// A client that comes back with Last-Event-ID, as browsers do by themselves,
// misses nothing.
func (d *Door) stream(w http.ResponseWriter, r *http.Request) error {
	p, err := wire.Query(r)
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
		return fault.Input("after", "must not be empty")
	}
	follow, err := d.api.Follow(r.Context(), userID, after)
	if err != nil {
		return err
	}
	events := wire.NewEvents(w, r, wire.DefaultStreamLimits)
	defer events.Close()
	_ = follow(events.Done, func(batch []publicapi.ListingCreated) error { // ends with the client
		list := make([]listings.Listing, len(batch))
		for i, e := range batch {
			list[i] = *e.Listing
		}
		owners, _ := d.owners(d.api.WithLoaders(events.Done), list)
		for i := range batch {
			sent := events.Send("listing", batch[i].Cursor, func(b []byte) []byte { return appendListing(b, &list[i], owners[i]) })
			if !sent {
				return context.Canceled
			}
		}
		return nil
	})
	return nil
}
