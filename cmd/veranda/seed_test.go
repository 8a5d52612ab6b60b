package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json"
)

func TestSeed(t *testing.T) {
	public := startForSeed(t)
	var out, progress strings.Builder
	environ := []string{"VERANDA_PUBLIC_URL=" + public, "VERANDA_LISTINGS=7"}
	err := run(t.Context(), []string{"seed", "--users", "40", "--listings", "250"}, environ, &out, &progress)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(out.String(), "created 40 users and 250 listings in ") {
		t.Errorf("got %q", out.String())
	}
	// A slow run shows more lines.
	if got := progress.String(); !strings.Contains(got, "users: 40 of 40\nlistings: ") || !strings.HasSuffix(got, "listings: 250 of 250\n") {
		t.Errorf("progress %q, want it to end with all users and all listings", got)
	}
	ids, owners := map[int64]bool{}, map[int64]bool{}
	for num := 1; num <= 4; num++ {
		for _, l := range publicPage(t, public, num) {
			if l.Price < 500 || l.User == nil || l.User.Name == "" {
				t.Errorf("got %+v", l)
				continue
			}
			ids[l.ID], owners[l.User.ID] = true, true
		}
	}
	if len(ids) != 250 || len(owners) < 2 || len(owners) > 40 {
		t.Errorf("got %d listings of %d users", len(ids), len(owners))
	}
}

type seeded struct {
	ID, Price int64
	User      *struct {
		ID   int64
		Name string
	}
}

func publicPage(t *testing.T, public string, num int) []seeded {
	t.Helper()
	resp, err := http.Get(fmt.Sprintf("%s/public-api/listings?page_num=%d&page_size=100", public, num))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var answer struct{ Listings []seeded }
	if err := json.UnmarshalRead(resp.Body, &answer, json.MatchCaseInsensitiveNames(true)); err != nil {
		t.Fatal(err)
	}
	return answer.Listings
}

// startForSeed runs the three services and returns the public layer's URL.
func startForSeed(t *testing.T) string {
	t.Helper()
	log, dir := slog.New(slog.DiscardHandler), t.TempDir()
	started := func(s *service, err error) *service {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := (group{s}).stop(); err != nil {
				t.Error(err)
			}
		})
		return s
	}
	flags := servingFlags{Host: "127.0.0.1", MaxPageSize: 100}
	l := started((&listingServiceCommand{backendFlags{0, "sqlite:" + filepath.Join(dir, "listings.db"), flags}}).start(t.Context(), log))
	u := started((&userServiceCommand{backendFlags{0, "sqlite:" + filepath.Join(dir, "users.db"), flags}}).start(t.Context(), log))
	public := publicFlags{BackendTimeout: 30 * time.Second}
	return started((&publicAPICommand{0, l.URL(), u.URL(), public, flags}).start(t.Context(), log)).URL()
}

func TestSeedStopped(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		cancel()
		fmt.Fprint(w, `{"result":true,"user":{"id":1}}`)
	}))
	defer srv.Close()
	var out strings.Builder
	err := run(ctx, []string{"seed", "--public-url", srv.URL, "--users", "5000"}, nil, &out, io.Discard)
	if err != nil || !strings.HasPrefix(out.String(), "stopped early: created ") {
		t.Errorf("got %q, %v", out.String(), err)
	}
}

func TestSeedWithoutServer(t *testing.T) {
	srv := httptest.NewServer(nil)
	srv.Close()
	var out strings.Builder
	err := run(t.Context(), []string{"seed", "--public-url", srv.URL}, nil, &out, io.Discard)
	if err == nil || !strings.Contains(err.Error(), "is veranda running?") || out.String() != "" {
		t.Errorf("got %q, %v", out.String(), err)
	}
}

func TestSeedUsage(t *testing.T) {
	for _, args := range [][]string{
		{"--users", "0"},
		{"--users", "-1"},
		{"--users", "1e3"},
		{"--listings", "10000001"},
		{"--public-url", "localhost:8000"},
		{"--public-url", ""},
		{"more"},
	} {
		var usage usageError
		err := run(t.Context(), append([]string{"seed"}, args...), nil, io.Discard, io.Discard)
		if !errors.As(err, &usage) {
			t.Errorf("%v: got %v, want a mistake in usage", args, err)
		}
	}
}
