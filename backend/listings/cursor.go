package listings

import (
	"encoding/base64"
	"encoding/binary"
	"hash/crc32"

	"github.com/veranda-go/veranda/internal/apierror"
)

// Cursor is the position of a listing in an order. It stays valid when listings
// are created or deleted.
type Cursor struct {
	Order Order
	// Key is created_at or the price, as the order has it.
	Key int64
	// ID breaks ties.
	ID int64
}

// CursorOf returns the position of l in order.
func CursorOf(l *Listing, order Order) Cursor {
	if order.byPrice() {
		return Cursor{order, l.Price, l.ID}
	}
	return Cursor{order, l.CreatedAt, l.ID}
}

// cursorVersion begins every cursor. It changes with the encoding, so that a
// cursor of another version is refused.
const cursorVersion = 1

// String returns the cursor as clients see it, about 20 characters of base64url:
// a byte of version and order, key and id as varints, and two bytes of checksum.
// The checksum finds typing errors, not forgeries: a forged cursor is only
// another position.
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

// ParseCursor parses what String returns. Its error is Invalid and names no
// field.
func ParseCursor(text string) (Cursor, error) {
	b, err := base64.RawURLEncoding.DecodeString(text)
	if err != nil || len(b) < 1+checksumSize || b[0]>>4 != cursorVersion {
		return Cursor{}, errCursor
	}
	c := Cursor{Order: Order(b[0] & 15)}
	key, n := binary.Varint(b[1:])
	id, m := binary.Varint(b[1+max(n, 0):])
	c.Key, c.ID = key, id
	// A cursor has one text. The comparison also finds what decoding accepts: line
	// breaks, long varints of small numbers, a wrong checksum.
	if n <= 0 || m <= 0 || int(c.Order) >= len(orders) || c.String() != text {
		return Cursor{}, errCursor
	}
	return c, nil
}

var errCursor = apierror.Invalidf("", "is not a cursor of this service")
