package listings_test

import (
	"encoding/base64"
	"math"
	"testing"

	"github.com/veranda-go/veranda/backend/listings"
	"github.com/veranda-go/veranda/internal/apierror"
)

func TestCursor(t *testing.T) {
	l := listings.Listing{ID: 7, Price: 6000, CreatedAt: 1675820997000000}
	for order, want := range map[listings.Order]listings.Cursor{
		listings.Newest:    {Order: listings.Newest, Key: 1675820997000000, ID: 7},
		listings.Oldest:    {Order: listings.Oldest, Key: 1675820997000000, ID: 7},
		listings.PriceAsc:  {Order: listings.PriceAsc, Key: 6000, ID: 7},
		listings.PriceDesc: {Order: listings.PriceDesc, Key: 6000, ID: 7},
	} {
		if got := listings.CursorOf(&l, order); got != want {
			t.Errorf("%v: %+v, want %+v", order, got, want)
		}
	}
	for _, key := range []int64{math.MinInt64, -1, 0, 1, 1675820997000000, math.MaxInt64} {
		for _, id := range []int64{math.MinInt64, 0, 1, 1_000_000, math.MaxInt64} {
			for order := listings.Newest; order <= listings.PriceDesc; order++ {
				c := listings.Cursor{Order: order, Key: key, ID: id}
				if got, err := listings.ParseCursor(c.String()); err != nil || got != c {
					t.Errorf("%+v is %q, which is %+v, %v", c, c.String(), got, err)
				}
			}
		}
	}
	if c := listings.CursorOf(&l, listings.Newest); len(c.String()) > 20 {
		t.Errorf("%q has %d characters", c.String(), len(c.String()))
	}
}

func TestCursorRefused(t *testing.T) {
	good := listings.Cursor{Order: listings.PriceAsc, Key: 6000, ID: 7}.String()
	texts := []string{"", " ", "1", "null", "MQ", good[1:], good[:len(good)-1], good + "A", good + "=", " " + good, good + "\n", "\r\n" + good}
	for i := range len(good) { // no slip of one character gets through
		for _, c := range []byte("Aa0_-+/ \n") {
			if good[i] != c {
				texts = append(texts, good[:i]+string(c)+good[i+1:])
			}
		}
	}
	raw, err := base64.RawURLEncoding.DecodeString(good)
	if err != nil {
		t.Fatal(err)
	}
	for i := range raw {
		for bit := range 8 {
			raw[i] ^= 1 << bit
			texts = append(texts, base64.RawURLEncoding.EncodeToString(raw))
			raw[i] ^= 1 << bit
		}
	}
	for _, text := range texts {
		if c, err := listings.ParseCursor(text); err == nil || apierror.KindOf(err) != apierror.Invalid {
			t.Errorf("%q: %+v, %v", text, c, err)
		}
	}
}

func FuzzParseCursor(f *testing.F) {
	f.Add("")
	f.Add("EAAAAAAA")
	for order := listings.Newest; order <= listings.PriceDesc; order++ {
		f.Add(listings.Cursor{Order: order, Key: 1675820997000000, ID: 7}.String())
		f.Add(listings.Cursor{Order: order, Key: math.MaxInt64, ID: math.MinInt64}.String())
	}
	f.Fuzz(func(t *testing.T, text string) {
		c, err := listings.ParseCursor(text)
		if err != nil {
			return
		}
		if again := c.String(); again != text {
			t.Errorf("%q is %+v, which is %q", text, c, again)
		}
	})
}
