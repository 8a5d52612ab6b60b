package wire

import (
	"testing"

	"github.com/go-json-experiment/json"
)

type row struct {
	N int64  `json:"n"`
	T string `json:"t"`
}

func (r *row) scan(s *Scan) {
	s.Skip(`{"n":`)
	r.N = s.Int()
	s.Skip(`,"t":`)
	r.T = s.Text()
	s.Skip(`}`)
}

// What a scan takes, it reads as JSON would be read; the rest it leaves.
func scanLikeJSON(t *testing.T, text string) (scanned bool) {
	t.Helper()
	s := &Scan{rest: text}
	s.Skip("[")
	got := ScanList(s, (*row).scan)
	if !s.End() {
		return false
	}
	var want []row
	if err := json.Unmarshal([]byte(text), &want); err != nil {
		t.Fatalf("took what is not JSON: %q: %v", text, err)
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
		`[]`:               true,
		`[{"n":0,"t":""}]`: true,
		`[{"n":1,"t":"名前 <&>"},{"n":2,"t":"b"}]`:    true,
		`[{"n":1,"t":"a\"\\\u540d\ud83d\ude00\n"}]`: true,
		`[{"n":999999999999999999,"t":"a"}]`:        true,
		`[{"n":9223372036854775807,"t":"a"}]`:       false,
		`[{"n":01,"t":"a"}]`:                        false,
		`[{"n":-1,"t":"a"}]`:                        false,
		`[{"n":1.5,"t":"a"}]`:                       false,
		`[{"n":"1","t":"a"}]`:                       false,
		`[{"t":"a","n":1}]`:                         false,
		`[ {"n":1,"t":"a"}]`:                        false,
		`[{"n":1,"t":"a"},]`:                        false,
		`[{"n":1,"t":"a"}`:                          false,
		`[{"n":1,"t":"a"}]]`:                        false,
		`[{"n":1,"t":"\ud800"}]`:                    false,
		`[{"n":1,"t":"` + "\xff" + `"}]`:            false,
		`[{"n":1,"t":"` + "\n" + `"}]`:              false,
		`[{"n":1,"t":"a\`:                           false,
		`[{"n":1,"t":null}]`:                        false,
		``:                                          false,
	} {
		if got := scanLikeJSON(t, text); got != want {
			t.Errorf("%q: scanned %v, want %v", text, got, want)
		}
	}
}

func FuzzScan(f *testing.F) {
	f.Add(`[{"n":1,"t":"a"},{"n":2,"t":"\u00e9\\"}]`)
	f.Fuzz(func(t *testing.T, text string) { scanLikeJSON(t, text) })
}
