package bench

import "net/http"

// NewTransport returns net/http's client with as many idle connections as the
// load has clients: with its default of two it would dial for most calls.
func NewTransport() *http.Transport {
	return &http.Transport{MaxIdleConns: 1024, MaxIdleConnsPerHost: 512, DisableCompression: true}
}
