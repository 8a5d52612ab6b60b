package transport

import (
	"mime"
	"strconv"
	"strings"
)

// Media types of responses.
const (
	mediaJSON     = "application/json"
	mediaGraphQL  = "application/graphql-response+json"
	mediaEvents   = "text/event-stream"
	charsetSuffix = "; charset=utf-8"
)

// negotiate returns the media type that a client prefers for a single response,
// "" if it accepts none, and whether it accepts server-sent events (RFC 9110,
// 12.5.1).
func negotiate(lines []string) (media string, events bool) {
	accept := strings.Join(lines, ",")
	switch strings.TrimSpace(accept) {
	case "", "*/*", mediaJSON: // nearly all requests
		return mediaJSON, false
	}
	// The most specific range that matches an offer has its weight.
	type match struct {
		weight   float64
		specific int
	}
	var matches [3]match
	offers := [...]string{mediaJSON, mediaGraphQL, mediaEvents}
	for part := range strings.SplitSeq(accept, ",") {
		rng, params, err := mime.ParseMediaType(part)
		if err != nil {
			continue
		}
		if charset, ok := params["charset"]; ok && !strings.EqualFold(charset, "utf-8") {
			continue
		}
		weight := 1.0
		if q, ok := params["q"]; ok {
			if weight, err = strconv.ParseFloat(q, 64); err != nil {
				continue
			}
		}
		for i, offer := range offers {
			specific := 0
			group, _, _ := strings.Cut(offer, "/")
			switch rng {
			case offer:
				specific = 3
			case group + "/*":
				specific = 2
			case "*/*":
				specific = 1
			}
			// */* does not mean server-sent events.
			if specific > matches[i].specific && (i < 2 || specific > 1) {
				matches[i] = match{weight, specific}
			}
		}
	}
	plain, graph, stream := matches[0], matches[1], matches[2]
	switch {
	case graph.weight > plain.weight, graph.weight > 0 && graph.weight == plain.weight && graph.specific == 3:
		media = mediaGraphQL
	case plain.weight > 0:
		media = mediaJSON
	}
	return media, stream.weight > 0
}

func orJSON(media string) string {
	if media == "" {
		return mediaJSON
	}
	return media
}
