package graph

import (
	"context"

	"github.com/veranda-go/veranda/internal/apierror"
	"github.com/veranda-go/veranda/publicapi"
)

type subscription struct{ api *publicapi.API }

func (s subscription) ListingCreated(ctx context.Context, userID, after *string) (<-chan *publicapi.ListingCreated, error) {
	id, err := optionalID("user_id", userID)
	if err != nil {
		return nil, err
	}
	cursor := ""
	if after != nil {
		if cursor = *after; cursor == "" {
			return nil, apierror.Invalidf("after", "must not be empty")
		}
	}
	follow, err := s.api.Follow(ctx, id, cursor)
	if err != nil {
		return nil, err
	}
	events := make(chan *publicapi.ListingCreated)
	go func() {
		defer close(events)
		_ = follow(ctx, func(batch []publicapi.ListingCreated) error { // ends with ctx
			for i := range batch {
				select {
				case events <- &batch[i]:
				case <-ctx.Done():
					return ctx.Err()
				}
			}
			return nil
		})
	}()
	return events, nil
}
