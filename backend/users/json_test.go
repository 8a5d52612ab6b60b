package users

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
		f.SetString("名 \"a\"\n" + v.Type().Field(i).Name)
	case reflect.Int64:
		f.SetInt(int64(i + 1))
	default:
		t.Fatalf("%s: add a value of a %s to this test", v.Type().Field(i).Name, f.Kind())
	}
}

// TestJSONHasEachField fails when a new field is left out of the encoder or the
// scanner, or when the scanner does not read what the encoder writes.
func TestJSONHasEachField(t *testing.T) {
	var u User
	v := reflect.ValueOf(&u).Elem()
	for i := range v.NumField() {
		set(t, v, i)
	}
	var members map[string]any
	if err := json.Unmarshal(u.AppendJSON(nil), &members); err != nil {
		t.Fatal(err)
	}
	for i := range v.NumField() {
		if name := v.Type().Field(i).Tag.Get("json"); members[name] == nil {
			t.Errorf("AppendJSON leaves out %q", name)
		}
	}
	for _, rows := range [][]User{{}, {u}, {u, u}} {
		body := appendList(nil, rows)
		var scanned, decoded list
		if !scanned.ScanJSON(fastjson.NewScan(body)) {
			t.Fatalf("not scanned: %s", body)
		}
		if err := json.Unmarshal(body, &decoded); err != nil || !reflect.DeepEqual(scanned, decoded) || !reflect.DeepEqual(*scanned.Users, rows) {
			t.Errorf("scanned %+v, decoded %+v, %v, want %+v", scanned.Users, decoded.Users, err, rows)
		}
	}
}

// TestDraftFields fails when a new field of a draft does not count for its
// idempotency key, or is not that of the user.
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
