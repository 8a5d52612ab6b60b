// Package bench holds what the load command (bench/load), the attack command
// (bench/attack) and the Go benchmarks share: the workloads, the in-memory
// backends of every candidate, and two baselines: responses written by hand, and
// constant bytes. Package bench/plain is a candidate on plain gqlgen. Only the
// tests here import veranda.
package bench

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strconv"
	"sync"
	"sync/atomic"
)

// Listing is a listing of the listing service.
type Listing struct {
	ID        int64  `json:"id"`
	UserID    int64  `json:"user_id"`
	Type      string `json:"listing_type"`
	Price     int64  `json:"price"`
	CreatedAt int64  `json:"created_at"`
	UpdatedAt int64  `json:"updated_at"`
}

// User is a user of the user service.
type User struct {
	ID        int64  `json:"id"`
	Name      string `json:"name"`
	CreatedAt int64  `json:"created_at"`
	UpdatedAt int64  `json:"updated_at"`
}

// epoch is just before the first row's creation, in microseconds.
const epoch = 1_675_820_997_000_000

// names are names of users, some with characters that JSON escapes or with more
// bytes than characters.
var names = []string{
	"Suresh Subramaniam", "Lorel Ipsum", "O'Brien & Sons \"Ltd\"", "Zoë Ångström",
	"名前 太郎", "a&user_id=2", "50% + tax", `back\slash`, "Ni Made Ayu", "Jürgen Groß",
}

// listingAt and userAt derive rows from their ids alone, so that the checks need
// no memory of the backends.
func listingAt(id, users int64) Listing {
	h := mix(uint64(id))
	l := Listing{ID: id, UserID: int64(h%uint64(users)) + 1, Type: "rent", CreatedAt: epoch + id*1_000_003}
	l.UpdatedAt = l.CreatedAt + int64(h>>40)
	l.Price = int64(h>>8%20_000)*1000 + 500_000
	if h>>60&1 == 1 {
		l.Type = "sale"
		l.Price *= 4001 // passes 2^31
	}
	return l
}

func userAt(id int64) User {
	h := mix(uint64(id) << 32)
	made := epoch + id*7_000_009
	return User{ID: id, Name: names[h%uint64(len(names))] + " " + strconv.FormatInt(id, 10), CreatedAt: made, UpdatedAt: made}
}

// mix is the finalizer of splitmix64.
func mix(x uint64) uint64 {
	x += 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

// Data has the rows of the two backends, with ids in the order of creation. Rows
// are added, never changed.
type Data struct {
	mu       sync.RWMutex
	listings []Listing
	users    []User
	// The rows' JSON, encoded once.
	listingJSON, userJSON [][]byte
	byUser                map[int64][]int32 // positions in listings

	initialListings, initialUsers int

	calls atomic.Int64
}

// NewData returns that many listings and users.
func NewData(listings, users int) *Data {
	d := &Data{byUser: make(map[int64][]int32, users)}
	for id := range int64(users) {
		d.addUser(userAt(id + 1))
	}
	for id := range int64(listings) {
		d.addListing(listingAt(id+1, int64(users)))
	}
	d.initialListings, d.initialUsers = listings, users
	return d
}

func (d *Data) addListing(l Listing) []byte {
	b := rowJSON(l)
	d.byUser[l.UserID] = append(d.byUser[l.UserID], int32(len(d.listings)))
	d.listings, d.listingJSON = append(d.listings, l), append(d.listingJSON, b)
	return b
}

func (d *Data) addUser(u User) []byte {
	b := rowJSON(u)
	d.users, d.userJSON = append(d.users, u), append(d.userJSON, b)
	return b
}

// rowJSON does not escape &, as encoding/json does by default, for HTML.
func rowJSON(row any) []byte {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	_ = e.Encode(row)
	return bytes.TrimSpace(b.Bytes())
}

// reset removes the created rows.
func (d *Data) reset() {
	for i := d.initialListings; i < len(d.listings); i++ {
		of := d.byUser[d.listings[i].UserID]
		d.byUser[d.listings[i].UserID] = of[:len(of)-1]
	}
	d.listings, d.listingJSON = d.listings[:d.initialListings], d.listingJSON[:d.initialListings]
	d.users, d.userJSON = d.users[:d.initialUsers], d.userJSON[:d.initialUsers]
}

// Page returns a page of listings, newest first. Pages count from 1.
func (d *Data) Page(num, size int) []Listing {
	d.mu.RLock()
	defer d.mu.RUnlock()
	from, to := window(len(d.listings), num, size)
	out := make([]Listing, 0, from-to)
	for i := from - 1; i >= to; i-- {
		out = append(out, d.listings[i])
	}
	return out
}

// User returns the user, who must exist.
func (d *Data) User(id int64) User {
	d.mu.RLock()
	defer d.mu.RUnlock()
	if id < 1 || id > int64(len(d.users)) {
		panic(fmt.Sprintf("user %d of %d", id, len(d.users)))
	}
	return d.users[id-1]
}

// window returns the positions of a page among n rows: from-1 down to to.
func window(n, num, size int) (from, to int) {
	if num-1 > n/size {
		return 0, 0
	}
	from = max(n-(num-1)*size, 0)
	return from, max(from-size, 0)
}
