package pagination

import (
	"math"
	"math/big"
	"slices"
	"testing"

	"github.com/veranda-go/veranda/internal/apierror"
)

// TestRows compares offsets with those of big integers.
func TestRows(t *testing.T) {
	t.Parallel()
	edges := []int64{1, 2, 3, 4, 7, 8, 10, 99, 100, 1 << 31, 1<<31 + 1, 1 << 32, 1 << 62, 1<<62 + 1, math.MaxInt64 - 1, math.MaxInt64}
	for _, size := range edges {
		for _, num := range append(edges, math.MaxInt64/size, min(math.MaxInt64/size, math.MaxInt64-1)+1, min(math.MaxInt64/size, math.MaxInt64-2)+2) {
			want := new(big.Int).Mul(big.NewInt(num-1), big.NewInt(size))
			got, err := Rows(Page{num, size}, func(offset int64) ([]int64, error) { return []int64{offset}, nil })
			if err != nil || len(got) == 1 != want.IsInt64() || len(got) == 1 && got[0] != want.Int64() {
				t.Errorf("page %d of size %d: offset %d, %v, want %d", num, size, got, err, want)
			}
		}
	}
}

func TestValidate(t *testing.T) {
	t.Parallel()
	const low, high = "must be at least 1", "must be at most 100"
	for _, test := range []struct {
		page Page
		want []apierror.FieldError
	}{
		{Page{1, 1}, nil},
		{Page{math.MaxInt64, 100}, nil},
		{Page{0, 10}, []apierror.FieldError{{Field: "page_num", Message: low}}},
		{Page{-1, 10}, []apierror.FieldError{{Field: "page_num", Message: low}}},
		{Page{1, 0}, []apierror.FieldError{{Field: "page_size", Message: low}}},
		{Page{1, math.MinInt64}, []apierror.FieldError{{Field: "page_size", Message: low}}},
		{Page{1, 101}, []apierror.FieldError{{Field: "page_size", Message: high}}},
		{Page{0, 101}, []apierror.FieldError{{Field: "page_num", Message: low}, {Field: "page_size", Message: high}}},
	} {
		if got := test.page.Validate(100); !slices.Equal(got, test.want) {
			t.Errorf("%+v: %v, want %v", test.page, got, test.want)
		}
	}
}
