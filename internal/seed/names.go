package seed

import (
	_ "embed"
	"math/rand/v2"
	"strings"
	"sync"

	"github.com/go-json-experiment/json"
)

//go:embed names.json
var namesJSON []byte

// origin is a group of names that are built alike, from one of each of Parts.
type origin struct {
	Market    string     `json:"market"`
	Separator string     `json:"separator"`
	Parts     [][]string `json:"parts"`
}

// origins returns the origins of names.json. Users take them in turn, so that a
// few users already show many kinds of names.
var origins = sync.OnceValue(func() (list []origin) {
	if err := json.Unmarshal(namesJSON, &list); err != nil {
		panic(err)
	}
	return list
})

// name returns one of the names of the origin.
func (o origin) name() string {
	chosen := make([]string, len(o.Parts))
	for i, part := range o.Parts {
		chosen[i] = part[rand.IntN(len(part))]
	}
	return strings.Join(chosen, o.Separator)
}
