package prepare

import (
	"fmt"
	"strings"
	"testing"
)

// TestCacheIsBounded puts more text into a cache than it keeps.
func TestCacheIsBounded(t *testing.T) {
	const size = 4 << 10
	c := NewCache(KeySize[int])
	for i := range 1000 {
		c.Set(fmt.Sprintf("%*d", size, i), i)
	}
	c.Set(strings.Repeat("x", 2*maxCached), 0)
	c.CleanUp()
	if n := c.EstimatedSize(); n < 50 || n > maxCached/size {
		t.Errorf("%d texts of %d bytes are kept, at most %d bytes are allowed", n, size, maxCached)
	}
	if _, ok := c.GetIfPresent(strings.Repeat("x", 2*maxCached)); ok {
		t.Error("a text over the maximum is kept")
	}
}
