package bench

import (
	"bufio"
	"errors"
	"io"
	"net"
	"strconv"
	"strings"
	"sync/atomic"
	"time"
)

// Backend serves Data over the part of HTTP/1.1 that gateways send to backends.
// With net/http a call would cost as much as the measured gateways do.
type Backend struct {
	data  *Data
	delay atomic.Int64 // microseconds
}

// NewBackend returns a backend with these rows.
func NewBackend(d *Data) *Backend { return &Backend{data: d} }

// Serve accepts connections until ln is closed. It returns the error of Accept.
func (s *Backend) Serve(ln net.Listener) error {
	for {
		conn, err := ln.Accept()
		if err != nil {
			return err
		}
		go s.serve(conn)
	}
}

func (s *Backend) serve(conn net.Conn) {
	defer conn.Close()
	r := bufio.NewReaderSize(conn, 64<<10) // a batch of 1,000 ids in one line
	var out, body []byte
	for {
		req, err := readRequest(r)
		if err != nil {
			return // the connection is closed, or the request not supported
		}
		if text, ok := strings.CutPrefix(req.target, DelayPath+"?us="); ok {
			n, _ := strconv.ParseInt(text, 10, 64)
			s.delay.Store(n)
		}
		oneWay := time.Duration(s.delay.Load()) * time.Microsecond / 2
		if strings.HasPrefix(req.target, "/_") {
			oneWay = 0
		}
		var status int
		var contentType string
		pause(oneWay)
		status, contentType, body = s.data.Respond(body[:0], req.method, req.target, req.body)
		pause(oneWay)
		out = append(out[:0], "HTTP/1.1 "...)
		out = strconv.AppendInt(out, int64(status), 10)
		out = append(out, " X\r\nContent-Type: "...)
		out = append(out, contentType...)
		out = append(out, "\r\nContent-Length: "...)
		out = strconv.AppendInt(out, int64(len(body)), 10)
		out = append(append(out, "\r\n\r\n"...), body...)
		if _, err := conn.Write(out); err != nil || req.last {
			return
		}
	}
}

func pause(d time.Duration) {
	if d > 0 {
		time.Sleep(d)
	}
}

type backendRequest struct {
	method, target string
	body           []byte
	last           bool // Connection: close
}

var errRequest = errors.New("malformed request")

func readRequest(r *bufio.Reader) (backendRequest, error) {
	line, err := r.ReadSlice('\n')
	if err != nil {
		return backendRequest{}, err
	}
	method, rest, ok := strings.Cut(string(line), " ")
	target, version, ok2 := strings.Cut(rest, " ")
	if !ok || !ok2 || !strings.HasPrefix(version, "HTTP/1.1") {
		return backendRequest{}, errRequest
	}
	req, length := backendRequest{method: method, target: target}, 0
	for {
		line, err := r.ReadSlice('\n')
		if err != nil {
			return req, err
		}
		if len(line) <= 2 {
			break
		}
		// Only Content-Length, Connection and Transfer-Encoding matter.
		switch line[0] | 0x20 {
		case 'c':
			name, value, _ := strings.Cut(strings.ToLower(string(line)), ":")
			value = strings.TrimSpace(value)
			switch name {
			case "content-length":
				if length, err = strconv.Atoi(value); err != nil || length < 0 || length > 64<<10 {
					return req, errRequest
				}
			case "connection":
				req.last = value == "close"
			}
		case 't':
			if strings.HasPrefix(strings.ToLower(string(line)), "transfer-encoding:") {
				return req, errRequest
			}
		}
	}
	if length > 0 {
		req.body = make([]byte, length)
		_, err = io.ReadFull(r, req.body)
	}
	return req, err
}
