package seed

import (
	"net/http"
	"strings"
	"testing"
	"time"
	"unicode"

	"github.com/veranda-go/veranda/backend/listings"
	"github.com/veranda-go/veranda/backend/users"
)

func TestNames(t *testing.T) {
	distinct := map[string]bool{}
	var all strings.Builder
	for _, o := range origins {
		for _, name := range allNames(o) {
			if problems := (users.Draft{Name: name}).Validate(); problems != nil {
				t.Errorf("%q: %v", name, problems)
			}
			if strings.TrimSpace(name) != name || strings.Contains(name, "  ") || strings.ContainsRune(name, unicode.ReplacementChar) {
				t.Errorf("%q is not written as a name", name)
			}
			distinct[name] = true
			all.WriteString(name)
		}
		for range 100 {
			if name := o.name(); !distinct[name] {
				t.Fatalf("%q is not one of its origin's names", name)
			}
		}
	}
	if len(distinct) < 1000 {
		t.Errorf("there are %d names, want at least 1000", len(distinct))
	}
	for _, script := range []string{"Latin", "Han", "Hiragana", "Hangul", "Tamil", "Arabic", "Thai"} {
		if !strings.ContainsFunc(all.String(), func(r rune) bool { return unicode.Is(unicode.Scripts[script], r) }) {
			t.Errorf("no name in %s", script)
		}
	}
	for _, char := range []string{"'", "’", "-", "é", "Ł", "ễ"} {
		if !strings.Contains(all.String(), char) {
			t.Errorf("no name with %s", char)
		}
	}
}

func TestListings(t *testing.T) {
	for _, m := range []*market{&singapore, &indonesia} {
		types, large := map[string]int{}, 0
		for range 20_000 {
			l := m.listing(7)
			types[l.Type]++
			p := m.rent
			if l.Type == "sale" {
				p = m.sale
			}
			if float64(l.Price) < p.low || float64(l.Price) > p.high || l.Price%50 != 0 {
				t.Fatalf("price in %+v, want one from %.0f to %.0f in steps of 50", l, p.low, p.high)
			}
			if l.Price > 1<<31 {
				large++
			}
			d := listings.Draft{UserID: l.UserID, Type: listings.Type(l.Type), Price: l.Price}
			if problems := d.Validate(); problems != nil {
				t.Fatalf("%+v: %v", l, problems)
			}
		}
		if types["rent"] == 0 || types["sale"] == 0 {
			t.Errorf("got %v, want both types", types)
		}
		if (large > 0) != (m == &indonesia) {
			t.Errorf("%d prices pass 2^31", large)
		}
	}
}

func TestPricesKeepTheirBounds(t *testing.T) {
	for _, p := range []prices{singapore.rent, singapore.sale, indonesia.rent, indonesia.sale} {
		for _, x := range []float64{p.low, p.high} {
			if got := (prices{x, x}).pick(); got != int64(x) {
				t.Errorf("%.0f became %d", x, got)
			}
		}
	}
}

func TestSomeOwner(t *testing.T) {
	for _, users := range []int{1, 2, 1000, maxCount} {
		for range 10_000 {
			if i := someOwner(users); i < 0 || i >= users {
				t.Fatalf("got %d of %d", i, users)
			}
		}
	}
}

func TestPause(t *testing.T) {
	for _, tc := range []struct {
		tries      int
		retryAfter string
		least      time.Duration
	}{
		{0, "", firstWait},
		{3, "", 8 * firstWait},
		{3, "2", 2 * time.Second},
		{0, "0", firstWait},
		{0, "-5", firstWait},
		{1, "soon", 2 * firstWait},
		{0, "99999999999999999999", firstWait},
		{0, time.Now().Add(-time.Hour).UTC().Format(http.TimeFormat), firstWait},
	} {
		if got := pause(tc.tries, tc.retryAfter); got < tc.least || got > tc.least*5/4 {
			t.Errorf("pause(%d, %q) is %v, want %v or up to a quarter more", tc.tries, tc.retryAfter, got, tc.least)
		}
	}
	date := time.Now().Add(24 * time.Hour).UTC().Format(http.TimeFormat)
	if got := pause(0, date); got < 23*time.Hour {
		t.Errorf("pause until tomorrow is %v", got)
	}
}
