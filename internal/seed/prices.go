package seed

import (
	"math"
	"math/rand/v2"
)

// market is a country with its prices. The currency is not stored, so the
// prices of one user are all of one market.
type market struct {
	rent, sale prices
}

// prices are a range in whole units of the currency.
type prices struct {
	low, high float64
}

var markets = map[string]market{
	"singapore": {rent: prices{500, 20_000}, sale: prices{200_000, 15_000_000}},                    // dollars
	"indonesia": {rent: prices{1_500_000, 150_000_000}, sale: prices{200_000_000, 60_000_000_000}}, // rupiah: most sales pass 2^31
}

// listing returns a listing of a user. Three of five are for rent.
func (m market) listing(userID int64) listing {
	if rand.IntN(5) < 3 {
		return listing{userID, "rent", m.rent.pick()}
	}
	return listing{userID, "sale", m.sale.pick()}
}

// pick returns a price, uniform on a logarithmic scale and rounded as in
// advertisements: 850, 3250, 1450000.
func (p prices) pick() int64 {
	price := p.low * math.Pow(p.high/p.low, rand.Float64())
	step := max(50, math.Pow10(int(math.Log10(price)))/20)
	return int64(math.Round(price/step) * step)
}

// pickOwner returns an index below users. Lower ones are more frequent: a few
// users have very many listings, most few or none.
func pickOwner(users int) int {
	r := rand.Float64()
	return int(r * r * float64(users))
}
