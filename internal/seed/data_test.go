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
	for _, o := range origins() {
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
		if _, ok := markets[o.Market]; !ok {
			t.Errorf("no market %q", o.Market)
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
	for name, m := range markets {
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
		if (large > 0) != (name == "indonesia") {
			t.Errorf("%d prices pass 2^31", large)
		}
	}
}

func TestPricesKeepTheirBounds(t *testing.T) {
	for _, m := range markets {
		for _, x := range []float64{m.rent.low, m.rent.high, m.sale.low, m.sale.high} {
			if got := (prices{x, x}).pick(); got != int64(x) {
				t.Errorf("%.0f became %d", x, got)
			}
		}
	}
}

func TestPickOwner(t *testing.T) {
	for _, users := range []int{1, 2, 1000, 10_000_000} {
		for range 10_000 {
			if i := pickOwner(users); i < 0 || i >= users {
				t.Fatalf("got %d of %d", i, users)
			}
		}
	}
}

func TestRetryAfter(t *testing.T) {
	for field, want := range map[string]time.Duration{
		"":                     0,
		"2":                    2 * time.Second,
		"0":                    0,
		"-5":                   0,
		"soon":                 0,
		"99999999999999999999": 0,
		time.Now().Add(-time.Hour).UTC().Format(http.TimeFormat): 0,
	} {
		if got := retryAfter(field); got != want {
			t.Errorf("retryAfter(%q) is %v, want %v", field, got, want)
		}
	}
	tomorrow := time.Now().Add(24 * time.Hour).UTC().Format(http.TimeFormat)
	if got := retryAfter(tomorrow); got < 23*time.Hour || got > 24*time.Hour {
		t.Errorf("until tomorrow is %v", got)
	}
}
