package fastjson

import (
	"testing"

	"github.com/go-json-experiment/json"
)

type row struct {
	Y bool   `json:"y"`
	N int64  `json:"n"`
	T string `json:"t"`
}

func (r *row) scan(s *Scan) {
	s.Skip(`{"y":true,"n":`)
	r.Y = true
	r.N = s.Int()
	s.Skip(`,"t":`)
	r.T = s.Text()
	s.Skip(`}`)
}

// scanLikeJSON tests that a scan that succeeds reads what a JSON decoder reads.
func scanLikeJSON(t *testing.T, text string) (scanned bool) {
	t.Helper()
	s := NewScan([]byte(text))
	s.Skip("[")
	got := ScanList(s, (*row).scan)
	if !s.End() {
		return false
	}
	var want []row
	if err := json.Unmarshal([]byte(text), &want); err != nil {
		t.Fatalf("scanned text that is not JSON: %q: %v", text, err)
	}
	if len(got) != len(want) {
		t.Fatalf("%q: %v, want %v", text, got, want)
	}
	for i := range got {
		if got[i] != want[i] {
			t.Fatalf("%q: %v, want %v", text, got, want)
		}
	}
	return true
}

func TestScan(t *testing.T) {
	for text, want := range map[string]bool{
		`[]`:                        true,
		`[{"y":true,"n":0,"t":""}]`: true,
		`[{"y":true,"n":1,"t":"名前 <&>"},{"y":true,"n":2,"t":"b"}]`: true,
		`[{"y":true,"n":1,"t":"a\"\\\u540d\ud83d\ude00\n"}]`:       true,
		`[{"y":true,"n":999999999999999999,"t":"a"}]`:              true,
		`[{"y":true,"n":9223372036854775807,"t":"a"}]`:             false,
		`[{"y":true,"n":01,"t":"a"}]`:                              false,
		`[{"y":true,"n":-1,"t":"a"}]`:                              false,
		`[{"y":true,"n":1.5,"t":"a"}]`:                             false,
		`[{"y":true,"n":"1","t":"a"}]`:                             false,
		`[{"t":"a","n":1}]`:                                        false,
		"[ {\"y\" : true,\n\t\"n\": 1 ,\"t\":\r \"a\" } ]\n":       true,
		`[{"y":t rue,"n":1,"t":"a"}]`:                              false,
		`[{"y ":true,"n":1,"t":"a"}]`:                              false,
		`[{"y":true,"n":1 2,"t":"a"}]`:                             false,
		`[{"y":true,"n":1,"t":"a"},]`:                              false,
		`[{"y":true,"n":1,"t":"a"}`:                                false,
		`[{"y":true,"n":1,"t":"a"}]]`:                              false,
		`[{"y":true,"n":1,"t":"\ud800"}]`:                          false,
		`[{"y":true,"n":1,"t":"` + "\xff" + `"}]`:                  false,
		`[{"y":true,"n":1,"t":"` + "\n" + `"}]`:                    false,
		`[{"y":true,"n":1,"t":"a\`:                                 false,
		`[{"y":true,"n":1,"t":null}]`:                              false,
		``:                                                         false,
	} {
		if got := scanLikeJSON(t, text); got != want {
			t.Errorf("%q: scanned %v, want %v", text, got, want)
		}
	}
}

func FuzzScan(f *testing.F) {
	f.Add(`[{"y":true,"n":1,"t":"a"},{"y":true,"n":2,"t":"\u00e9\\"}]`)
	f.Fuzz(func(t *testing.T, text string) { scanLikeJSON(t, text) })
}
