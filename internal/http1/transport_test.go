package http1

import (
	"bytes"
	"context"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

// listen serves each connection with serve and gives the address.
func listenRaw(t testing.TB, serve func(net.Conn)) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ln.Close() })
	go func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				serve(c)
			}()
		}
	}()
	return ln.Addr().String()
}

func BenchmarkRoundTrip(b *testing.B) {
	body := strings.Repeat("x", 1000)
	answer := []byte("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n" +
		"Date: Sun, 22 Nov 2026 17:00:00 GMT\r\nX-Request-Id: 0123456789abcdef\r\n\r\n" + body)
	addr := listenRaw(b, func(c net.Conn) {
		buf := make([]byte, 4096)
		n := 0
		for {
			m, err := c.Read(buf[n:])
			if err != nil {
				return
			}
			if n += m; bytes.HasSuffix(buf[:n], []byte("\r\n\r\n")) {
				n = 0
				if _, err := c.Write(answer); err != nil {
					return
				}
			}
		}
	})
	own := NewTransport()
	defer own.CloseIdleConnections()
	for _, side := range []struct {
		name string
		http.RoundTripper
	}{{"own", own}, {"net", &own.other}} {
		call := func(b *testing.B, into []byte) {
			ctx, cancel := context.WithTimeout(b.Context(), time.Minute)
			defer cancel()
			req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+addr+"/listings?page_num=1", nil)
			if err != nil {
				b.Fatal(err)
			}
			req.Header["Accept"] = []string{"application/json"}
			resp, err := side.RoundTrip(req)
			if err != nil {
				b.Fatal(err)
			}
			if _, err := io.ReadFull(resp.Body, into); err != nil {
				b.Fatal(err)
			}
			if n, err := resp.Body.Read(into); n != 0 || err != io.EOF {
				b.Fatal(n, err)
			}
			resp.Body.Close()
		}
		b.Run(side.name+"/one", func(b *testing.B) {
			into := make([]byte, 1000)
			b.ReportAllocs()
			for b.Loop() {
				call(b, into)
			}
		})
		b.Run(side.name+"/many", func(b *testing.B) {
			b.ReportAllocs()
			b.SetParallelism(16)
			b.RunParallel(func(pb *testing.PB) {
				into := make([]byte, 1000)
				for pb.Next() {
					call(b, into)
				}
			})
		})
	}
}
