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

// Backend serves Data. It speaks just the HTTP/1.1 that gateways speak to
// backends: net/http would cost as much per call as the gateways that are to
// be measured, and they would wait for it. Make it with NewBackend.
type Backend struct {
	data  *Data
	delay atomic.Int64 // microseconds
}

// NewBackend is a backend of these rows.
func NewBackend(d *Data) *Backend { return &Backend{data: d} }

// Serve answers on ln until it is closed.
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
			return // the other side is done, or does not speak what we speak
		}
		if text, ok := strings.CutPrefix(req.target, DelayPath+"?us="); ok {
			n, _ := strconv.ParseInt(text, 10, 64)
			s.delay.Store(n)
		}
		away := time.Duration(s.delay.Load()) * time.Microsecond / 2
		if strings.HasPrefix(req.target, "/_") {
			away = 0
		}
		var status int
		var contentType string
		pause(away) // half on the way here, half on the way back
		status, contentType, body = s.data.Answer(body[:0], req.method, req.target, req.body)
		pause(away)
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
	last           bool // the other side closes
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
		// Only these three matter, and most headers are neither.
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
