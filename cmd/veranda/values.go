package main

import (
	"errors"
	"strconv"
	"time"

	"github.com/veranda-go/veranda/internal/httpapi"
)

// The types of flags validate their text. kong adds the name of the flag.

// port is a TCP port, from 0 to 65535.
type port uint16

// UnmarshalText is part of encoding.TextUnmarshaler.
func (p *port) UnmarshalText(text []byte) error {
	n, err := strconv.ParseUint(string(text), 10, 16)
	if err != nil {
		return errors.New("must be a port from 0 to 65535")
	}
	*p = port(n)
	return nil
}

// pageRows is a number of pageRows from 1 to 1,000. Larger pages would pass the
// limit of a backend's response.
type pageRows int64

// UnmarshalText is part of encoding.TextUnmarshaler.
func (s *pageRows) UnmarshalText(text []byte) error {
	n, err := strconv.ParseInt(string(text), 10, 64)
	if err != nil || n < 1 || n > 1000 {
		return errors.New("must be a whole number from 1 to 1000")
	}
	*s = pageRows(n)
	return nil
}

// delay is a duration from 0 to an hour.
type delay time.Duration

// UnmarshalText is part of encoding.TextUnmarshaler.
func (d *delay) UnmarshalText(text []byte) error {
	v, err := time.ParseDuration(string(text))
	if err != nil || v < 0 || v > time.Hour {
		return errors.New("must be a duration from 0s to 1h, such as 250ms")
	}
	*d = delay(v)
	return nil
}

// count is a whole number from 0 to 100,000,000.
type count int

// UnmarshalText is part of encoding.TextUnmarshaler.
func (c *count) UnmarshalText(text []byte) error {
	n, err := strconv.ParseUint(string(text), 10, 32)
	if err != nil || n > 100_000_000 {
		return errors.New("must be a whole number from 0 to 100000000")
	}
	*c = count(n)
	return nil
}

// origins is a list of web origins.
type origins struct{ httpapi.Origins }

// UnmarshalText is part of encoding.TextUnmarshaler.
func (o *origins) UnmarshalText(text []byte) (err error) {
	o.Origins, err = httpapi.ParseOrigins(string(text))
	return err
}
