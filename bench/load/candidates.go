package main

import (
	"bytes"
	_ "embed"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"text/template"
	"time"
)

// Names of the candidates.
const (
	project  = "project"         // with its default settings
	noCache  = "project-nocache" // the other way about the user cache
	cache    = "project-cache"
	floor    = "floor"
	constant = "constant"
	plain    = "gqlgen"
	tailcall = "tailcall"
	mercury  = "mercurius"
)

// candidate is one way to answer the questions.
type candidate struct {
	*process
	name string
	// workloads it can answer, apart by commas; all if empty.
	workloads string
	writes    bool // has the REST routes that create
	cached    bool // keeps users
	fresh     func() (*process, error)
}

const graphQL = "W1,W2,W3,W4,W6"

// candidates starts all that can be had and are wanted.
func (s *stage) candidates(c config) ([]*candidate, error) {
	publicAPI := func(args ...string) func() (*process, error) {
		return func() (*process, error) {
			return s.startGateway(nil, append([]string{"veranda", "public-api", "--port", "0",
				"--listing-service-url", s.urls[0], "--user-service-url", s.urls[1]}, args...)...)
		}
	}
	ours := &candidate{name: project, writes: true, fresh: publicAPI()}
	all := []*candidate{ours}
	switch size, ok := s.userCacheSize(); {
	case !ok:
		s.notes = append(s.notes, "the project has no flag for its user cache: it is measured against the targets without one")
	case size == 0:
		all = append(all, &candidate{name: cache, writes: true, cached: true, fresh: publicAPI(userCacheFlag, strconv.Itoa(users))})
	default:
		ours.cached = true
		all = append(all, &candidate{name: noCache, writes: true, fresh: publicAPI(userCacheFlag, "0")})
	}
	for _, v := range c.variants {
		all = append(all, &candidate{name: v.name, writes: true, fresh: publicAPI(v.args...)})
	}
	all = append(all,
		&candidate{name: floor, fresh: func() (*process, error) {
			return s.startGateway(nil, "serve", "floor", s.urls[0], s.urls[1])
		}},
		&candidate{name: constant, workloads: "W3", fresh: func() (*process, error) { return s.startGateway(nil, "serve", "constant") }},
		&candidate{name: plain, workloads: graphQL, fresh: func() (*process, error) {
			return s.startGateway(nil, "plainserver", s.urls[0], s.urls[1])
		}},
	)
	cache, err := os.UserCacheDir()
	if err != nil {
		return nil, err
	}
	cache = filepath.Join(cache, "veranda-bench") // what npm installs is kept for the next run
	missing := func(name string, err error) {
		s.notes = append(s.notes, fmt.Sprintf("%s IS LEFT OUT, and with it the targets that name it: %v", strings.ToUpper(name), err))
	}
	if named(c.candidates, tailcall) && c.tailcall != "off" {
		if command, err := s.findTailcall(c.tailcall, cache); err != nil {
			missing(tailcall, err)
		} else {
			all = append(all, &candidate{name: tailcall, workloads: graphQL, fresh: func() (*process, error) { return s.startTailcall(command) }})
		}
	}
	if named(c.candidates, mercury) {
		if script, err := s.findMercurius(cache); err != nil {
			missing(mercury, err)
		} else {
			all = append(all, &candidate{name: mercury, workloads: graphQL, fresh: func() (*process, error) { return s.startMercurius(script) }})
		}
	}
	var wanted []*candidate
	for _, p := range all {
		if !named(c.candidates, p.name) {
			continue
		}
		if p.process, err = p.fresh(); err != nil {
			return nil, fmt.Errorf("%s: %w", p.name, err)
		}
		wanted = append(wanted, p)
	}
	return wanted, nil
}

// userCacheFlag sets how many users the project keeps.
const userCacheFlag = "--user-cache-size"

// userCacheSize is how many users the project keeps by default; ok is false if
// it has no such setting.
func (s *stage) userCacheSize() (size int, ok bool) {
	help, _ := exec.CommandContext(s.ctx, filepath.Join(s.dir, "veranda"), "public-api", "--help").Output()
	m := regexp.MustCompile(userCacheFlag + `\b.*\(default (\d+);`).FindSubmatch(help)
	if m == nil {
		return 0, false
	}
	size, err := strconv.Atoi(string(m[1]))
	return size, err == nil
}

// startGateway starts a program that prints where it listens, on the cores of
// the gateway, and waits until it answers.
func (s *stage) startGateway(env []string, args ...string) (*process, error) {
	p, err := s.start(s.layout.gateway, env, args...)
	if err != nil {
		return nil, err
	}
	urls, err := p.waitURLs(1)
	if err != nil {
		return nil, err
	}
	// The last one: a program may log where its backends are before.
	p.url = urls[len(urls)-1]
	return p, s.waitAnswer(p)
}

func (s *stage) waitAnswer(p *process) error {
	for range 500 {
		resp, err := http.Post(p.url+"/graphql", "application/json", strings.NewReader(`{"query":"{__typename}"}`))
		if err == nil {
			resp.Body.Close()
			if resp.StatusCode == http.StatusOK {
				return nil
			}
		}
		select {
		case <-p.done:
			return fmt.Errorf("%s ended: %s", p.cmd.Args, p.log)
		case <-time.After(10 * time.Millisecond):
		}
	}
	return fmt.Errorf("%s does not answer: %s", p.cmd.Args, p.log)
}

// findTailcall gives the command that runs Tailcall. The newest release needs
// a newer C library than some systems have; then the script says how it got
// one, or takes the last release that needs none.
func (s *stage) findTailcall(command, cache string) ([]string, error) {
	if command == "" {
		var stderr bytes.Buffer
		install := exec.CommandContext(s.ctx, "bash", "bench/load/tailcall.sh", cache)
		install.Stderr = &stderr
		out, err := install.Output()
		if err != nil {
			return nil, fmt.Errorf("not installed: %s", lastLine(stderr.String()))
		}
		command = string(out)
	}
	fields := strings.Fields(command)
	version, err := exec.CommandContext(s.ctx, fields[0], append(fields[1:], "--version")...).CombinedOutput()
	if err != nil {
		return nil, fmt.Errorf("does not run: %s", lastLine(string(version)))
	}
	s.notes = append(s.notes, "measured: "+strings.TrimSpace(string(version)))
	return fields, nil
}

func lastLine(s string) string {
	s = strings.TrimSpace(s)
	return s[strings.LastIndexByte(s, '\n')+1:]
}

//go:embed tailcall.graphql
var tailcallConfig string

func (s *stage) startTailcall(command []string) (*process, error) {
	port, err := freePort()
	if err != nil {
		return nil, err
	}
	var text bytes.Buffer
	if err := template.Must(template.New("").Delims("<<", ">>").Parse(tailcallConfig)).Execute(&text, map[string]string{
		"Port": port, "Listings": s.urls[0], "Users": s.urls[1],
	}); err != nil {
		return nil, err
	}
	name := filepath.Join(s.dir, "tailcall-"+port+".graphql")
	if err := os.WriteFile(name, text.Bytes(), 0o600); err != nil {
		return nil, err
	}
	return s.startAt(port, []string{"TAILCALL_TRACKER=false", "TAILCALL_LOG_LEVEL=error"},
		append(slices.Clone(command), "start", name)...)
}

// startAt starts a gateway that is told its port.
func (s *stage) startAt(port string, env []string, args ...string) (*process, error) {
	p, err := s.start(s.layout.gateway, env, args...)
	if err != nil {
		return nil, err
	}
	p.url = "http://127.0.0.1:" + port
	return p, s.waitAnswer(p)
}

// freePort is for programs that cannot pick one by themselves.
func freePort() (string, error) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer ln.Close()
	return strconv.Itoa(ln.Addr().(*net.TCPAddr).Port), nil
}

// What npm installs for Mercurius, and the script that uses it.
var mercuriusPackages = []string{"mercurius@16.10.1", "fastify@5.12.8", "graphql@16.15.0", "undici@7.30.2"}

//go:embed mercurius.mjs
var mercuriusScript []byte

func (s *stage) findMercurius(cache string) (script string, err error) {
	folder := filepath.Join(cache, mercuriusPackages[0])
	script = filepath.Join(folder, "mercurius.mjs")
	if _, err := exec.LookPath("node"); err != nil {
		return "", err
	}
	if !exists(filepath.Join(folder, "node_modules", "mercurius")) {
		args := append([]string{"install", "--prefix", folder, "--no-audit", "--no-fund", "--ignore-scripts"}, mercuriusPackages...)
		if out, err := exec.CommandContext(s.ctx, "npm", args...).CombinedOutput(); err != nil {
			return "", fmt.Errorf("not installed: %s", lastLine(string(out)))
		}
	}
	s.notes = append(s.notes, "measured: "+strings.Join(mercuriusPackages, ", ")+", a process for each core of the gateway")
	return script, os.WriteFile(script, mercuriusScript, 0o600)
}

func (s *stage) startMercurius(script string) (*process, error) {
	port, err := freePort()
	if err != nil {
		return nil, err
	}
	processes := 1 + strings.Count(s.layout.gateway, ",")
	return s.startAt(port, []string{"NODE_ENV=production"}, "node", script, s.urls[0], s.urls[1], port, strconv.Itoa(processes))
}
