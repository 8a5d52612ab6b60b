package listingstest

import (
	"bufio"
	"bytes"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/veranda-go/veranda/backend/listings"
	"github.com/veranda-go/veranda/internal/server"
	"github.com/veranda-go/veranda/internal/wire"
)

// RatioSize is the number of rows of a page that Ratios asks for.
const RatioSize = 20

// ratioSpan is how long each runs before it is the next one's turn.
const ratioSpan = time.Second

// Ratios measures what a store that holds BenchFill, and a server in front of
// it, keep of the pace of bare, which has the database run the same statement
// without them for as long as it is told, asking for random pages of the first
// so many, and returns pages per second. They take turns, as other programs
// are busy too: only the ratios of one round mean much.
func Ratios(b *testing.B, s listings.Store, askers int, bare func(pages int64, span time.Duration) (float64, error)) {
	srv, err := server.New("listing-service", "127.0.0.1:0", slog.New(slog.DiscardHandler))
	if err != nil {
		b.Fatal(err)
	}
	defer srv.Stop()
	r := wire.NewRouter()
	listings.NewHandler(s, 1000, srv.Log()).Routes(r)
	srv.Start(r, s.Ping)
	address := strings.TrimPrefix(srv.URL(), "http://")

	fromStore := func(page int64) error {
		found, err := s.List(b.Context(), listings.Query{Offset: RatioSize * (page - 1), Limit: RatioSize})
		if err == nil && len(found) != RatioSize {
			err = fmt.Errorf("%d rows", len(found))
		}
		return err
	}
	for _, pages := range []int64{1, 1000} {
		b.Run(fmt.Sprintf("pages=%d", pages), func(b *testing.B) {
			var store, http, httpOfStore []float64
			for range 5 {
				perSecond, err := bare(pages, ratioSpan)
				if err != nil {
					b.Fatal(err)
				}
				byStore, err := Pace(askers, pages, ratioSpan, func() (func(int64) error, error) { return fromStore, nil })
				if err != nil {
					b.Fatal(err)
				}
				byHTTP, err := Pace(askers, pages, ratioSpan, func() (func(int64) error, error) { return dial(address) })
				if err != nil {
					b.Fatal(err)
				}
				b.Logf("bare %.0f, store %.0f (%.2f), HTTP %.0f (%.2f)", perSecond, byStore, byStore/perSecond, byHTTP, byHTTP/perSecond)
				store, http, httpOfStore = append(store, byStore/perSecond), append(http, byHTTP/perSecond), append(httpOfStore, byHTTP/byStore)
			}
			for unit, ratios := range map[string][]float64{"store/bare": store, "http/bare": http, "http/store": httpOfStore} {
				slices.Sort(ratios)
				b.ReportMetric(ratios[len(ratios)/2], unit)
			}
		})
	}
}

// Pace has so many askers, each made by open, ask for random pages of the
// first so many, and returns pages per second.
func Pace(askers int, pages int64, span time.Duration, open func() (ask func(page int64) error, err error)) (float64, error) {
	var (
		asked   atomic.Int64
		failed  atomic.Value
		running sync.WaitGroup
		asks    []func(int64) error
	)
	for range askers {
		ask, err := open()
		if err != nil {
			return 0, err
		}
		asks = append(asks, ask)
	}
	start := time.Now()
	for i, ask := range asks {
		running.Go(func() {
			random := rand.New(rand.NewPCG(1, uint64(i)))
			for time.Since(start) < span {
				if err := ask(1 + random.Int64N(pages)); err != nil {
					failed.Store(err)
					return
				}
				asked.Add(1)
			}
		})
	}
	running.Wait()
	err, _ := failed.Load().(error)
	return float64(asked.Load()) / time.Since(start).Seconds(), err
}

// dial makes an asker over HTTP that does the least that a client can, as it
// runs on the same cores: it finds the end of the answer, and drops it.
func dial(address string) (func(page int64) error, error) {
	conn, err := net.Dial("tcp", address)
	if err != nil {
		return nil, err
	}
	var (
		answer  = bufio.NewReader(conn)
		request []byte
		name    = []byte("Content-Length: ")
	)
	return func(page int64) error {
		request = strconv.AppendInt(append(request[:0], "GET /listings?page_num="...), page, 10)
		request = strconv.AppendInt(append(request, "&page_size="...), RatioSize, 10)
		request = append(request, " HTTP/1.1\r\nHost: veranda\r\n\r\n"...)
		if _, err := conn.Write(request); err != nil {
			return err
		}
		line, err := answer.ReadSlice('\n')
		if err != nil || !bytes.HasPrefix(line, []byte("HTTP/1.1 200 ")) {
			return fmt.Errorf("%q, %v", line, err)
		}
		length := 0
		for err == nil && len(line) > 2 {
			if line, err = answer.ReadSlice('\n'); bytes.HasPrefix(line, name) {
				length, _ = strconv.Atoi(string(line[len(name) : len(line)-2]))
			}
		}
		if err != nil || length < 100*RatioSize {
			return fmt.Errorf("an answer of %d bytes, %v", length, err)
		}
		_, err = answer.Discard(length)
		return err
	}, nil
}
