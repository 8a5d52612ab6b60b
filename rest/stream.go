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

// stream sends each new listing as a server-sent event (HTML standard, 9.2). A
// client that reconnects with Last-Event-ID, as browsers do, misses none. A
// stream without it begins with an event "start" that has an id and no data, so
// that the client can reconnect before its first listing too.
func (h *Handler) stream(w http.ResponseWriter, r *http.Request) error {
	p := httpapi.Query(r)
	userID := p.Int("user_id", 0)
	after, given := p.Text("after")
	if err := p.Err(); err != nil {
		return err
	}
	// The header is newer than the URL, which a browser repeats.
	if last := r.Header.Get("Last-Event-ID"); last != "" {
		after = last
	} else if given && after == "" {
		return apierror.Invalidf("after", "must not be empty")
	}
	start := after == ""
	var err error
	if start {
		if after, err = h.api.FeedEnd(r.Context()); err != nil {
			return err
		}
	}
	follow, err := h.api.Follow(r.Context(), userID, after)
	if err != nil {
		return err
	}
	if r.Method == http.MethodHead {
		w.Header().Set("Content-Type", httpapi.MediaEvents)
		return nil
	}
	events := httpapi.NewEvents(w, r, h.limits)
	defer events.Close()
	if start {
		events.Send("start", after, nil)
	}
	// It ends with the client, to which an error could not be written.
	_ = follow(events.Done, func(batch []publicapi.ListingCreated) error {
		rows := make([]listings.Listing, len(batch))
		for i, e := range batch {
			rows[i] = *e.Listing
		}
		owners, errs := h.owners(h.api.WithLoaders(events.Done), rows)
		for i := range batch {
			sent := events.Send("listing", batch[i].Cursor, func(b []byte) []byte {
				b = appendListing(b, &rows[i], owners[i])
				if errs != nil && errs[i] != nil { // or the user might not exist
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
