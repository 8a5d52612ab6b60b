package listingstest

import (
	"bufio"
	"bytes"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/veranda-go/veranda/backend/listings"
)

// RatioSize is the page size of Ratios, in rows.
const RatioSize = 20

// ratioSpan is how long each of the three runs in a round.
const ratioSpan = time.Second

// httpClients is the number of HTTP clients, each with its own connection.
const httpClients = 100

// Measured is the result of a run.
type Measured struct {
	PerSecond float64       // pages
	CPU       time.Duration // of a page, 0 if unknown
}

// Ratios compares, in pages per second, a store that holds the listings of
// BenchFill and a listing service in its own process with bare, which runs the
// same statement in the database without them. All read random pages of the
// first pages for span, in turns: the machine may run other programs, so only
// ratios within a round are comparable.
func Ratios(b *testing.B, s listings.Store, databaseURL string, clients int, bare func(pages int64, span time.Duration) (Measured, error)) {
	program := filepath.Join(b.TempDir(), "veranda")
	if out, err := exec.Command("go", "build", "-o", program, "github.com/veranda-go/veranda/cmd/veranda").CombinedOutput(); err != nil {
		b.Fatalf("%v: %s", err, out)
	}
	fromStore := func(page int64) error {
		found, err := s.List(b.Context(), listings.Query{Offset: RatioSize * (page - 1), Limit: RatioSize})
		if err == nil && len(found) != RatioSize {
			err = fmt.Errorf("%d rows", len(found))
		}
		return err
	}
	for _, pages := range []int64{1, 1000} {
		b.Run(fmt.Sprintf("pages=%d", pages), func(b *testing.B) {
			ratios := map[string][]float64{}
			for range 5 {
				alone, err := bare(pages, ratioSpan)
				if err != nil {
					b.Fatal(err)
				}
				byStore, err := Pace(clients, pages, ratioSpan, func() (func(int64) error, error) { return fromStore, nil })
				if err != nil {
					b.Fatal(err)
				}
				byHTTP, err := paceOfService(program, databaseURL, pages)
				if err != nil {
					b.Fatal(err)
				}
				b.Logf("bare %.0f at %v, store %.0f, HTTP %.0f at %v", alone.PerSecond, alone.CPU, byStore.PerSecond, byHTTP.PerSecond, byHTTP.CPU)
				ratios["store/bare"] = append(ratios["store/bare"], byStore.PerSecond/alone.PerSecond)
				ratios["http/bare"] = append(ratios["http/bare"], byHTTP.PerSecond/alone.PerSecond)
				if alone.CPU > 0 { // as if each had all cores, and the clients others
					ratios["http/bare-by-core"] = append(ratios["http/bare-by-core"], float64(alone.CPU)/float64(byHTTP.CPU))
				}
			}
			for unit, of := range ratios {
				slices.Sort(of)
				b.ReportMetric(of[len(of)/2], unit)
			}
		})
	}
}

// paceOfService measures a listing service that it starts and stops.
func paceOfService(program, databaseURL string, pages int64) (m Measured, err error) {
	service := exec.Command(program, "listing-service", "--port", "0", "--drain-delay", "0s", "--database-url", databaseURL)
	log, err := service.StderrPipe()
	if err != nil {
		return m, err
	}
	if err := service.Start(); err != nil {
		return m, err
	}
	line, err := bufio.NewReader(log).ReadString('\n')
	address := urlPattern.FindStringSubmatch(line)
	if address == nil {
		err = fmt.Errorf("the service logged %q, %v", line, err)
	} else {
		m, err = Pace(httpClients, pages, ratioSpan, func() (func(int64) error, error) { return dial(address[1]) })
	}
	_ = service.Process.Signal(os.Interrupt)
	if failed := service.Wait(); err == nil {
		err = failed
	}
	if err != nil {
		return m, err
	}
	m.CPU = time.Duration(float64(service.ProcessState.UserTime()+service.ProcessState.SystemTime()) / m.PerSecond / ratioSpan.Seconds())
	return m, nil
}

var urlPattern = regexp.MustCompile(`http://(127\.0\.0\.1:\d+)`)

// Pace measures a number of clients, each made by open, that read random pages of
// the first pages for span. CPU is that of this process.
func Pace(clients int, pages int64, span time.Duration, open func() (get func(page int64) error, err error)) (Measured, error) {
	var (
		pagesRead atomic.Int64
		failed    atomic.Value
		running   sync.WaitGroup
		gets      []func(int64) error
	)
	for range clients {
		get, err := open()
		if err != nil {
			return Measured{}, err
		}
		gets = append(gets, get)
	}
	var before, after syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &before)
	start := time.Now()
	for i, get := range gets {
		running.Go(func() {
			random := rand.New(rand.NewPCG(1, uint64(i)))
			for time.Since(start) < span {
				if err := get(1 + random.Int64N(pages)); err != nil {
					failed.Store(err)
					return
				}
				pagesRead.Add(1)
			}
		})
	}
	running.Wait()
	took := time.Since(start)
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &after)
	used := time.Duration(after.Utime.Nano() + after.Stime.Nano() - before.Utime.Nano() - before.Stime.Nano())
	n := max(pagesRead.Load(), 1)
	err, _ := failed.Load().(error)
	return Measured{float64(n) / took.Seconds(), used / time.Duration(n)}, err
}

// dial returns an HTTP client that does as little as possible, because it runs on
// the same cores: it finds the end of the response and drops it.
func dial(address string) (func(page int64) error, error) {
	conn, err := net.Dial("tcp", address)
	if err != nil {
		return nil, err
	}
	var (
		response = bufio.NewReader(conn)
		request  []byte
		name     = []byte("Content-Length: ")
	)
	return func(page int64) error {
		request = strconv.AppendInt(append(request[:0], "GET /listings?page_num="...), page, 10)
		request = strconv.AppendInt(append(request, "&page_size="...), RatioSize, 10)
		request = append(request, " HTTP/1.1\r\nHost: veranda\r\n\r\n"...)
		if _, err := conn.Write(request); err != nil {
			return err
		}
		line, err := response.ReadSlice('\n')
		if err != nil || !bytes.HasPrefix(line, []byte("HTTP/1.1 200 ")) {
			return fmt.Errorf("%q, %v", line, err)
		}
		length := 0
		for err == nil && len(line) > 2 {
			if line, err = response.ReadSlice('\n'); bytes.HasPrefix(line, name) {
				length, _ = strconv.Atoi(string(line[len(name) : len(line)-2]))
			}
		}
		if err != nil || length < 100*RatioSize {
			return fmt.Errorf("a response of %d bytes, %v", length, err)
		}
		_, err = response.Discard(length)
		return err
	}, nil
}
