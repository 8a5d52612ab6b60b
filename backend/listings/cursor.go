package listings

import (
	"encoding/base64"
	"encoding/binary"
	"hash/crc32"

	"github.com/veranda-go/veranda/internal/apierror"
)

// Cursor is a place in a list: that of one listing, in one order. It stays
// valid whatever is created or removed around it.
type Cursor struct {
	Order Order
	// Key is what the order goes by: created_at or the price.
	Key int64
	// ID breaks ties.
	ID int64
}

// CursorOf is the place of l in a list in the given order.
func CursorOf(l *Listing, order Order) Cursor {
	if order.byPrice() {
		return Cursor{order, l.Price, l.ID}
	}
	return Cursor{order, l.CreatedAt, l.ID}
}

// cursorVersion begins every cursor. A new meaning takes a new number, so
// that an old cursor is refused and not misread.
const cursorVersion = 1

// String is the cursor as callers see it, about 20 characters fit for a URL:
// version and order in a byte, key and id in as few as they need, two for a
// checksum. The checksum is no secret: it tells slips, not forgers, and a
// forged cursor is just another place.
func (c Cursor) String() string {
	b := make([]byte, 0, 2+2*binary.MaxVarintLen64+checksumSize)
	b = append(b, cursorVersion<<4|byte(c.Order))
	b = binary.AppendVarint(b, c.Key)
	b = binary.AppendVarint(b, c.ID)
	b = binary.BigEndian.AppendUint16(b, checksum(b))
	return base64.RawURLEncoding.EncodeToString(b)
}

const checksumSize = 2

func checksum(b []byte) uint16 { return uint16(crc32.ChecksumIEEE(b)) }

// maxCursor is the longest text in bytes that String makes.
var maxCursor = base64.RawURLEncoding.EncodedLen(1 + 2*binary.MaxVarintLen64 + checksumSize)

// ParseCursor reads what String made and refuses all else with an Invalid
// fault, whose problem leaves naming the parameter to the caller.
func ParseCursor(text string) (Cursor, error) {
	if len(text) > maxCursor {
		return Cursor{}, errCursor
	}
	b, err := base64.RawURLEncoding.DecodeString(text)
	if err != nil || len(b) < 1+checksumSize || b[0]>>4 != cursorVersion {
		return Cursor{}, errCursor
	}
	c := Cursor{Order: Order(b[0] & 15)}
	key, n := binary.Varint(b[1:])
	id, m := binary.Varint(b[1+max(n, 0):])
	c.Key, c.ID = key, id
	// One cursor has one text. To compare also finds what decoding lets pass:
	// line breaks, long forms of small numbers, a wrong checksum.
	if n <= 0 || m <= 0 || int(c.Order) >= len(orders) || c.String() != text {
		return Cursor{}, errCursor
	}
	return c, nil
}

var errCursor = apierror.Invalidf("", "is not a cursor of this service")
