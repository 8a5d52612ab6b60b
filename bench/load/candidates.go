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
	"slices"
	"strconv"
	"strings"
	"text/template"
	"time"
)

// Names of the candidates.
const (
	veranda      = "veranda"       // with its default settings
	verandaCache = "veranda-cache" // with its user cache
	baseline     = "baseline"
	constant     = "constant"
	gqlgen       = "gqlgen"
	tailcall     = "tailcall"
	mercurius    = "mercurius"
)

// candidate is a program that can serve the workloads.
type candidate struct {
	*process
	name      string
	workloads string // the ones it can serve, separated by commas; empty: all
	writes    bool   // it has the REST routes that create
	cached    bool   // it keeps users
	fresh     func() (*process, error)
}

const graphQL = "W1,W2,W3,W4,W6"

// candidates starts the candidates that are wanted and can be had.
func (h *harness) candidates(c config) ([]*candidate, error) {
	publicAPI := func(binary string, flags ...string) func() (*process, error) {
		return func() (*process, error) {
			return h.startGateway(nil, append([]string{binary, "public-api", "--port", "0",
				"--listing-service-url", h.urls[0], "--user-service-url", h.urls[1]}, flags...)...)
		}
	}
	all := []*candidate{
		{name: veranda, writes: true, fresh: publicAPI("veranda")},
		{name: verandaCache, writes: true, cached: true, fresh: publicAPI("veranda", "--user-cache-size", strconv.Itoa(users))},
	}
	for _, x := range c.further {
		all = append(all, &candidate{name: x.name, writes: true, fresh: publicAPI(x.binary, x.flags...)})
	}
	all = append(all,
		&candidate{name: baseline, fresh: func() (*process, error) {
			return h.startGateway(nil, "serve", "baseline", h.urls[0], h.urls[1])
		}},
		&candidate{name: constant, workloads: "W3", fresh: func() (*process, error) { return h.startGateway(nil, "serve", "constant") }},
		&candidate{name: gqlgen, workloads: graphQL, fresh: func() (*process, error) {
			return h.startGateway(nil, "plainserver", h.urls[0], h.urls[1])
		}},
	)
	cache, err := os.UserCacheDir()
	if err != nil {
		return nil, err
	}
	cache = filepath.Join(cache, "veranda-bench") // what npm installs is kept for the next run
	leaveOut := func(name string, err error) {
		h.notes = append(h.notes, fmt.Sprintf("%s IS LEFT OUT, and with it the targets that name it: %v", strings.ToUpper(name), err))
	}
	if named(c.candidates, tailcall) && c.tailcall != "off" {
		if command, err := h.findTailcall(c.tailcall, cache); err != nil {
			leaveOut(tailcall, err)
		} else {
			all = append(all, &candidate{name: tailcall, workloads: graphQL, fresh: func() (*process, error) { return h.startTailcall(command) }})
		}
	}
	if named(c.candidates, mercurius) {
		if script, err := h.findMercurius(cache); err != nil {
			leaveOut(mercurius, err)
		} else {
			all = append(all, &candidate{name: mercurius, workloads: graphQL, fresh: func() (*process, error) { return h.startMercurius(script) }})
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

// startGateway starts a program that prints its URL, on the gateway's cores,
// and waits until it serves GraphQL.
func (h *harness) startGateway(env []string, args ...string) (*process, error) {
	p, err := h.start(h.layout.gateway, env, args...)
	if err != nil {
		return nil, err
	}
	urls, err := p.waitURLs(1)
	if err != nil {
		return nil, err
	}
	// The last URL: a program may log its backends' URLs before.
	p.url = urls[len(urls)-1]
	return p, h.waitReady(p)
}

func (h *harness) waitReady(p *process) error {
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
	return fmt.Errorf("%s is not ready after 5 s: %s", p.cmd.Args, p.log)
}

// findTailcall returns the command that runs Tailcall: the given one, or what
// tailcall.sh installs.
func (h *harness) findTailcall(command, cache string) ([]string, error) {
	if command == "" {
		var stderr bytes.Buffer
		install := exec.CommandContext(h.ctx, "bash", "load/tailcall.sh", cache)
		install.Stderr = &stderr
		out, err := install.Output()
		if err != nil {
			return nil, fmt.Errorf("not installed: %s", lastLine(stderr.String()))
		}
		command = string(out)
	}
	fields := strings.Fields(command)
	version, err := exec.CommandContext(h.ctx, fields[0], append(fields[1:], "--version")...).CombinedOutput()
	if err != nil {
		return nil, fmt.Errorf("does not run: %s", lastLine(string(version)))
	}
	h.notes = append(h.notes, "measured: "+strings.TrimSpace(string(version)))
	return fields, nil
}

func lastLine(s string) string {
	s = strings.TrimSpace(s)
	return s[strings.LastIndexByte(s, '\n')+1:]
}

//go:embed tailcall.graphql
var tailcallConfig string

func (h *harness) startTailcall(command []string) (*process, error) {
	port, err := freePort()
	if err != nil {
		return nil, err
	}
	var text bytes.Buffer
	if err := template.Must(template.New("").Delims("<<", ">>").Parse(tailcallConfig)).Execute(&text, map[string]string{
		"Port": port, "Workers": strconv.Itoa(h.layout.gatewayCores()), "Listings": h.urls[0], "Users": h.urls[1],
	}); err != nil {
		return nil, err
	}
	name := filepath.Join(h.dir, "tailcall-"+port+".graphql")
	if err := os.WriteFile(name, text.Bytes(), 0o600); err != nil {
		return nil, err
	}
	return h.startAt(port, []string{"TAILCALL_TRACKER=false", "TAILCALL_LOG_LEVEL=error"},
		append(slices.Clone(command), "start", name)...)
}

// startAt starts a gateway that has to be given its port.
func (h *harness) startAt(port string, env []string, args ...string) (*process, error) {
	p, err := h.start(h.layout.gateway, env, args...)
	if err != nil {
		return nil, err
	}
	p.url = "http://127.0.0.1:" + port
	return p, h.waitReady(p)
}

// freePort returns a free port, for programs that cannot pick one.
func freePort() (string, error) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer ln.Close()
	return strconv.Itoa(ln.Addr().(*net.TCPAddr).Port), nil
}

// mercuriusPackages are what npm installs for mercurius.mjs.
var mercuriusPackages = []string{"mercurius@16.10.1", "fastify@5.12.8", "graphql@16.15.0", "undici@7.30.2"}

//go:embed mercurius.mjs
var mercuriusScript []byte

func (h *harness) findMercurius(cache string) (script string, err error) {
	folder := filepath.Join(cache, mercuriusPackages[0])
	script = filepath.Join(folder, "mercurius.mjs")
	if _, err := exec.LookPath("node"); err != nil {
		return "", err
	}
	if !exists(filepath.Join(folder, "node_modules", "mercurius")) {
		args := append([]string{"install", "--prefix", folder, "--no-audit", "--no-fund", "--ignore-scripts"}, mercuriusPackages...)
		if out, err := exec.CommandContext(h.ctx, "npm", args...).CombinedOutput(); err != nil {
			return "", fmt.Errorf("not installed: %s", lastLine(string(out)))
		}
	}
	h.notes = append(h.notes, "measured: "+strings.Join(mercuriusPackages, ", ")+", a process for each core of the gateway")
	return script, os.WriteFile(script, mercuriusScript, 0o600)
}

func (h *harness) startMercurius(script string) (*process, error) {
	port, err := freePort()
	if err != nil {
		return nil, err
	}
	return h.startAt(port, []string{"NODE_ENV=production"}, "node", script, h.urls[0], h.urls[1], port, strconv.Itoa(h.layout.gatewayCores()))
}
