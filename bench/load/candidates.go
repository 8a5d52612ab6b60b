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
	if named(c.candidates, tailcall) && c.tailcall != "off" {
		if command, err := s.findTailcall(c.tailcall); err != nil {
			s.notes = append(s.notes, fmt.Sprintf("TAILCALL IS LEFT OUT, and with it the targets that name it: %v", err))
		} else {
			all = append(all, &candidate{name: tailcall, workloads: graphQL, fresh: func() (*process, error) { return s.startTailcall(command) }})
		}
	}
	var wanted []*candidate
	for _, p := range all {
		if !named(c.candidates, p.name) {
			continue
		}
		var err error
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
func (s *stage) findTailcall(command string) ([]string, error) {
	if command == "" {
		cache, err := os.UserCacheDir()
		if err != nil {
			return nil, err
		}
		var stderr bytes.Buffer
		install := exec.CommandContext(s.ctx, "bash", "bench/load/tailcall.sh", filepath.Join(cache, "veranda-bench"))
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
	// It cannot pick a free port by itself.
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	port := ln.Addr().(*net.TCPAddr).Port
	ln.Close()
	var text bytes.Buffer
	if err := template.Must(template.New("").Delims("<<", ">>").Parse(tailcallConfig)).Execute(&text, map[string]string{
		"Port": strconv.Itoa(port), "Listings": s.urls[0], "Users": s.urls[1],
	}); err != nil {
		return nil, err
	}
	name := filepath.Join(s.dir, "tailcall-"+strconv.Itoa(port)+".graphql")
	if err := os.WriteFile(name, text.Bytes(), 0o600); err != nil {
		return nil, err
	}
	p, err := s.start(s.layout.gateway, []string{"TAILCALL_TRACKER=false", "TAILCALL_LOG_LEVEL=error"},
		append(append([]string{}, command...), "start", name)...)
	if err != nil {
		return nil, err
	}
	p.url = fmt.Sprintf("http://127.0.0.1:%d", port)
	return p, s.waitAnswer(p)
}
