package pgdb

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"strconv"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgtype"
	"github.com/jackc/pgx/v5/pgxpool"
)

// DB is an open database. Make it with Open.
type DB struct {
	*pgxpool.Pool
	// prepares is false when the URL asks pgx for a mode that prepares nothing,
	// because of a proxy.
	prepares bool
}

// Read runs a statement with args and calls f for each row. Statements whose
// args are all int64 or string go past most of pgx, whose part is a tenth of a
// page's time otherwise. Each text stays prepared: there must not be too many.
func (db *DB) Read(ctx context.Context, text string, args []any, f func(*Row)) error {
	conn, err := db.Acquire(ctx)
	if err != nil {
		return Explain(ctx, err)
	}
	defer conn.Release()
	if db.prepares {
		statement, err := conn.Conn().Prepare(ctx, text, text) // known ones are looked up
		if err != nil {
			return Explain(ctx, err)
		}
		if values, ok := encode(statement.ParamOIDs, args); ok {
			err := read(conn.Conn().PgConn().ExecStatement(ctx, statement, values, binaryFormat, binaryFormat), f)
			var pg *pgconn.PgError
			if errors.As(err, &pg) && (pg.Code == "0A000" || pg.Code == "26000") {
				// Its columns have changed, or it is gone: so may be others, and all go
				// with the connection.
				_ = conn.Conn().Close(ctx)
			}
			return Explain(ctx, err)
		}
	}
	rows, err := conn.Query(ctx, text, args...)
	if err != nil {
		return Explain(ctx, err)
	}
	return Explain(ctx, EachRow(rows, f))
}

var binaryFormat = []int16{pgx.BinaryFormatCode}

// encode gives args as ExecStatement wants them. It knows BIGINT and TEXT.
func encode(types []uint32, args []any) (values [][]byte, ok bool) {
	if len(types) != len(args) {
		return nil, false
	}
	values = make([][]byte, len(args))
	numbers := make([]byte, 0, 8*len(args))
	for i, arg := range args {
		switch arg := arg.(type) {
		case int64:
			if types[i] != pgtype.Int8OID {
				return nil, false
			}
			numbers = binary.BigEndian.AppendUint64(numbers, uint64(arg))
			values[i] = numbers[len(numbers)-8:]
		case string:
			if types[i] != pgtype.TextOID {
				return nil, false
			}
			values[i] = []byte(arg)
		default:
			return nil, false
		}
	}
	return values, true
}

func read(result *pgconn.ResultReader, f func(*Row)) error {
	var row Row
	for row.err == nil && result.NextRow() {
		row.fields, row.values = result.FieldDescriptions(), result.Values()
		f(&row)
	}
	if _, err := result.Close(); row.err == nil {
		return err
	}
	return row.err
}

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
	// As text it comes in the modes of pgx that prepare nothing. Four bytes would
	// be an INTEGER.
	n, err := strconv.ParseInt(string(value), 10, 64)
	if err != nil || r.fields[column].Format != pgx.TextFormatCode {
		r.err = fmt.Errorf("column %s holds no BIGINT", r.fields[column].Name)
	}
	return n
}

// Bytes is the value of a TEXT column. It is good as long as the row.
func (r *Row) Bytes(column int) []byte { return r.values[column] }
