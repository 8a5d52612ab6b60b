package seed

import (
	"math"
	"math/rand/v2"
)

// market is where a person offers property. The currency is not stored, so
// prices of one person are all of one market.
type market struct {
	rent, sale prices
}

// prices go from low to high, in whole units of the currency.
type prices struct {
	low, high float64
}

var (
	singapore = market{ // dollars
		rent: prices{500, 20_000},
		sale: prices{200_000, 15_000_000},
	}
	indonesia = market{ // rupiah: most sales pass 2^31
		rent: prices{1_500_000, 150_000_000},
		sale: prices{200_000_000, 60_000_000_000},
	}
)

// listing is something that the user offers; three of five are for rent.
func (m *market) listing(userID int64) listing {
	if rand.IntN(5) < 3 {
		return listing{userID, "rent", m.rent.pick()}
	}
	return listing{userID, "sale", m.sale.pick()}
}

// pick is a price, the cheap as likely as the dear on a scale of ratios,
// rounded as people do: 850, 3250, 1450000, never 1448211.
func (p prices) pick() int64 {
	price := p.low * math.Pow(p.high/p.low, rand.Float64())
	step := max(50, math.Pow10(int(math.Log10(price)))/20)
	return int64(math.Round(price/step) * step)
}

// someOwner is an index below users. The lower it is, the more often it
// comes: a few people offer very much, most little or nothing.
func someOwner(users int) int {
	r := rand.Float64()
	return int(r * r * float64(users))
}
