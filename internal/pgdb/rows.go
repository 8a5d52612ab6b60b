package pgdb

import (
	"encoding/binary"
	"fmt"
	"strconv"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// Row is a row of an answer, its values as they came from the server. To have
// pgx scan them is the costliest of all that it does for a page. A Row is
// good until its function returns.
type Row struct {
	fields []pgconn.FieldDescription
	values [][]byte
	err    error
}

// EachRow calls f for each row, and closes rows.
func EachRow(rows pgx.Rows, f func(*Row)) error {
	defer rows.Close()
	var row Row
	for rows.Next() {
		// Not before the first row: after an error there are none, and pgx panics.
		row.fields, row.values = rows.FieldDescriptions(), rows.RawValues()
		if f(&row); row.err != nil {
			return row.err
		}
	}
	return rows.Err()
}

// Int is the value of a BIGINT column that is never null.
func (r *Row) Int(column int) int64 {
	value := r.values[column]
	if r.fields[column].Format == pgx.BinaryFormatCode && len(value) == 8 {
		return int64(binary.BigEndian.Uint64(value))
	}
	// As text it comes in the modes of pgx that prepare nothing, which a URL may
	// ask for because of a proxy. Four bytes would be an INTEGER.
	n, err := strconv.ParseInt(string(value), 10, 64)
	if err != nil || r.fields[column].Format != pgx.TextFormatCode {
		r.err = fmt.Errorf("column %s holds no BIGINT", r.fields[column].Name)
	}
	return n
}

// Bytes is the value of a TEXT column. It is good as long as the row.
func (r *Row) Bytes(column int) []byte { return r.values[column] }
