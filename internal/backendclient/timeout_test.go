package backendclient

import (
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/veranda-go/veranda/internal/apierror"
)

// TestGetLong calls a backend that holds the request for longer than the timeout.
func TestGetLong(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		time.Sleep(100 * time.Millisecond)
		_, _ = w.Write([]byte(`{}`))
	}))
	defer server.Close()
	c, err := NewClient("listing service", server.URL, 20*time.Millisecond, http.DefaultTransport)
	if err != nil {
		t.Fatal(err)
	}
	if err := c.GetLong(t.Context(), time.Minute, "/", "", &struct{}{}); err != nil {
		t.Errorf("with more time: %v", err)
	}
	if err := c.Get(t.Context(), "/", "", &struct{}{}); apierror.KindOf(err) != apierror.Timeout {
		t.Errorf("without: %v", err)
	}
}
