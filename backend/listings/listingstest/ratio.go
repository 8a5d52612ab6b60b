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

// RatioSize is the number of rows of a page that Ratios asks for.
const RatioSize = 20

// ratioSpan is how long each runs before it is the next one's turn.
const ratioSpan = time.Second

// clients is how many ask over HTTP, each on a connection of its own.
const clients = 100

// Measured is what a run came to.
type Measured struct {
	PerSecond float64       // pages
	CPU       time.Duration // for a page, 0 if it is not known
}

// Ratios measures what a store that holds BenchFill, and a listing service in
// a process of its own with the same database, keep of the pace of bare, which
// has the database run the same statement without them for as long as it is
// told, asking for random pages of the first so many. They take turns, as
// other programs are busy too: only the ratios of one round mean much.
func Ratios(b *testing.B, s listings.Store, databaseURL string, askers int, bare func(pages int64, span time.Duration) (Measured, error)) {
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
				byStore, err := Pace(askers, pages, ratioSpan, func() (func(int64) error, error) { return fromStore, nil })
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
				if alone.CPU > 0 { // as if each had as many cores for itself, and the clients others
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

// paceOfService starts the listing service, and has its clients ask.
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
		err = fmt.Errorf("the service said %q, %v", line, err)
	} else {
		m, err = Pace(clients, pages, ratioSpan, func() (func(int64) error, error) { return dial(address[1]) })
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

// Pace has so many askers, each made by open, ask for random pages of the
// first so many. CPU is that of this process.
func Pace(askers int, pages int64, span time.Duration, open func() (ask func(page int64) error, err error)) (Measured, error) {
	var (
		asked   atomic.Int64
		failed  atomic.Value
		running sync.WaitGroup
		asks    []func(int64) error
	)
	for range askers {
		ask, err := open()
		if err != nil {
			return Measured{}, err
		}
		asks = append(asks, ask)
	}
	var before, after syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &before)
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
	took := time.Since(start)
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &after)
	used := time.Duration(after.Utime.Nano() + after.Stime.Nano() - before.Utime.Nano() - before.Stime.Nano())
	n := max(asked.Load(), 1)
	err, _ := failed.Load().(error)
	return Measured{float64(n) / took.Seconds(), used / time.Duration(n)}, err
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
