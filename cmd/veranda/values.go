package main

import (
	"errors"
	"strconv"
	"time"
)

// portValue is a TCP port, from 0 to 65535.
type portValue int

func (p *portValue) String() string { return strconv.Itoa(int(*p)) }

func (p *portValue) Set(text string) error {
	n, err := strconv.ParseUint(text, 10, 16)
	if err != nil {
		return errors.New("must be a port from 0 to 65535")
	}
	*p = portValue(n)
	return nil
}

// maxPageValue is a number of rows from 1 to 1,000. Larger pages would pass
// what one answer of a backend may hold.
type maxPageValue int64

func (m *maxPageValue) String() string { return strconv.FormatInt(int64(*m), 10) }

func (m *maxPageValue) Set(text string) error {
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil || n < 1 || n > 1000 {
		return errors.New("must be a whole number from 1 to 1000")
	}
	*m = maxPageValue(n)
	return nil
}

// delayValue is a duration from 0 to an hour, such as 1s or 250ms.
type delayValue time.Duration

func (d *delayValue) String() string { return time.Duration(*d).String() }

func (d *delayValue) Set(text string) error {
	v, err := time.ParseDuration(text)
	if err != nil || v < 0 || v > time.Hour {
		return errors.New("must be a duration from 0s to 1h, such as 250ms")
	}
	*d = delayValue(v)
	return nil
}

// countValue is a whole number from 0 to 100,000,000.
type countValue int

func (c *countValue) String() string { return strconv.Itoa(int(*c)) }

func (c *countValue) Set(text string) error {
	n, err := strconv.ParseUint(text, 10, 32)
	if err != nil || n > 100_000_000 {
		return errors.New("must be a whole number from 0 to 100000000")
	}
	*c = countValue(n)
	return nil
}
