package listings

import (
	"reflect"
	"testing"

	"github.com/go-json-experiment/json"

	"github.com/veranda-go/veranda/internal/fastjson"
)

// set gives field i of the struct v a value that is not zero and differs from
// that of other fields.
func set(t *testing.T, v reflect.Value, i int) {
	t.Helper()
	switch f := v.Field(i); f.Kind() {
	case reflect.String:
		f.SetString("sale")
	case reflect.Int64:
		f.SetInt(int64(i + 1))
	default:
		t.Fatalf("%s: add a value of a %s to this test", v.Type().Field(i).Name, f.Kind())
	}
}

// TestJSONHasEachField fails when a new field is left out of the encoder or the
// scanner, or when the scanner does not read what the encoder writes.
func TestJSONHasEachField(t *testing.T) {
	var l Listing
	v := reflect.ValueOf(&l).Elem()
	for i := range v.NumField() {
		set(t, v, i)
	}
	var all, public map[string]any
	if err := json.Unmarshal(l.AppendJSON(nil), &all); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(append(l.AppendPublicMembers([]byte("{")), '}'), &public); err != nil {
		t.Fatal(err)
	}
	for i := range v.NumField() {
		name := v.Type().Field(i).Tag.Get("json")
		if _, ok := all[name]; !ok {
			t.Errorf("AppendJSON leaves out %q", name)
		}
		if _, ok := public[name]; !ok && name != "id" && name != "user_id" {
			t.Errorf("AppendPublicMembers leaves out %q", name)
		}
	}
	for _, rows := range [][]Listing{{}, {l}, {l, l}, {{Type: `"`}}} {
		body := appendList(nil, rows, nil)
		var scanned, decoded list
		if !scanned.ScanJSON(fastjson.NewScan(body)) {
			t.Fatalf("not scanned: %s", body)
		}
		if err := json.Unmarshal(body, &decoded); err != nil || !reflect.DeepEqual(scanned, decoded) || !reflect.DeepEqual(*scanned.Listings, rows) {
			t.Errorf("scanned %+v, decoded %+v, %v, want %+v", scanned.Listings, decoded.Listings, err, rows)
		}
	}
}

// TestDraftFields fails when a new field of a draft does not count for its
// idempotency key, or is not that of the listing.
func TestDraftFields(t *testing.T) {
	for i := range reflect.TypeFor[Draft]().NumField() {
		var d Draft
		set(t, reflect.ValueOf(&d).Elem(), i)
		if d.Digest() == (Draft{}).Digest() {
			t.Errorf("Digest leaves out field %d of %+v", i, d)
		}
		if d.Created(1, 2) == (Draft{}).Created(1, 2) {
			t.Errorf("Created leaves out field %d of %+v", i, d)
		}
	}
}
