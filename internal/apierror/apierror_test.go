package apierror

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
)

func TestFrom(t *testing.T) {
	t.Parallel()
	secret := errors.New("password hunter2 refused by 10.0.0.1")
	own := Wrap(NotFound, "no such thing", secret)
	for _, test := range []struct {
		err     error
		kind    Kind
		message string
	}{
		{own, NotFound, "no such thing"},
		{fmt.Errorf("calling: %w", own), NotFound, "no such thing"},
		{errors.Join(secret, own), NotFound, "no such thing"},
		{secret, Internal, "internal error"},
		{fmt.Errorf("%w: %w", context.DeadlineExceeded, secret), Timeout, "deadline passed"},
		{fmt.Errorf("%w: %w", context.Canceled, secret), Unavailable, "request canceled"},
		// An Error whose cause is a deadline keeps its kind.
		{Wrap(Unavailable, "database unavailable", context.DeadlineExceeded), Unavailable, "database unavailable"},
		{Invalidf("price", "must be at least %d", 1), Invalid, "price: must be at least 1"},
	} {
		f := From(test.err)
		if f.Kind != test.kind || KindOf(test.err) != test.kind {
			t.Errorf("%v: kind %d, want %d", test.err, f.Kind, test.kind)
		}
		if got := f.Messages(); !slices.Equal(got, []string{test.message}) {
			t.Errorf("%v: messages %q, want %q", test.err, got, test.message)
		}
		// The log gets the cause, and the chain is whole.
		if errors.Is(test.err, secret) && (!errors.Is(f, secret) || !strings.Contains(f.Error(), secret.Error())) {
			t.Errorf("%v: the cause is lost in %q", test.err, f.Error())
		}
	}
}

func TestFromFields(t *testing.T) {
	t.Parallel()
	// A nil *Error in an error would not be nil.
	if err := FromFields(nil); err != nil {
		t.Errorf("no fields: %v, want nil", err)
	}
	err := FromFields([]FieldError{{Field: "page_num", Message: "must be at least 1"}, {Message: "body: malformed JSON"}})
	f := From(err)
	if want := []string{"page_num: must be at least 1", "body: malformed JSON"}; f.Kind != Invalid || !slices.Equal(f.Messages(), want) {
		t.Errorf("kind %d, %q, want invalid, %q", f.Kind, f.Messages(), want)
	}
	if want := "page_num: must be at least 1; body: malformed JSON"; err.Error() != want {
		t.Errorf("error text %q, want %q", err, want)
	}
}

// TestSpell tests that Spell changes each name in the text.
func TestSpell(t *testing.T) {
	t.Parallel()
	f := FieldError{Field: "min_price", Message: "must not be above", Other: "max_price"}
	if got, want := f.String(), "min_price: must not be above max_price"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
	if got, want := f.Spell(strings.ToUpper).String(), "MIN_PRICE: must not be above MAX_PRICE"; got != want {
		t.Errorf("spelled %q, want %q", got, want)
	}
	if got, want := (FieldError{Message: "no such route"}).Spell(strings.ToUpper).String(), "no such route"; got != want {
		t.Errorf("without names %q, want %q", got, want)
	}
}
