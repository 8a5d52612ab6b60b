package main

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"

	"github.com/veranda-go/veranda/internal/testenv"
)

// browser is a tab of a headless Chromium. It records violations: what a page must
// not do.
type browser struct {
	ctx  context.Context
	base string

	mu         sync.Mutex
	violations []string
}

func openBrowser(t *testing.T, base string) *browser {
	t.Helper()
	opts := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(testenv.Chromium(t)), chromedp.WindowSize(1400, 900))
	for _, flag := range testenv.ChromiumFlags() {
		opts = append(opts, chromedp.Flag(strings.TrimPrefix(flag, "--"), true))
	}
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	t.Cleanup(cancel)
	ctx, cancel = chromedp.NewExecAllocator(ctx, opts...)
	t.Cleanup(cancel)
	ctx, cancel = chromedp.NewContext(ctx)
	t.Cleanup(cancel)
	b := &browser{ctx: ctx, base: base}
	if err := chromedp.Listen(ctx, b.watch); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		for _, violation := range b.take() {
			t.Error(violation)
		}
	})
	return b
}

// take returns the violations since the last call.
func (b *browser) take() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	violations := b.violations
	b.violations = nil
	return violations
}

// watch records console lines, exceptions, violations of the content security
// policy and requests to other hosts.
func (b *browser) watch(ev any) {
	var violation string
	switch ev := ev.(type) {
	case *runtime.EventExceptionThrown:
		violation = fmt.Sprintf("exception: %+v", ev.ExceptionDetails)
	case *runtime.EventConsoleAPICalled:
		var words []string
		for _, arg := range ev.Args {
			words = append(words, fmt.Sprintf("%s%s", arg.Value, arg.Description))
		}
		violation = fmt.Sprintf("console.%s: %s", ev.Type, strings.Join(words, " "))
	case *log.EventEntryAdded:
		violation = fmt.Sprintf("log: %s %s %s", ev.Entry.Level, ev.Entry.Text, ev.Entry.URL)
	case *network.EventRequestWillBeSent:
		if u := ev.Request.URL; !strings.HasPrefix(u, b.base+"/") && !strings.HasPrefix(u, "data:") {
			violation = "request to " + u
		}
	case *network.EventWebSocketCreated:
		if u := ev.URL; !strings.HasPrefix(u, strings.Replace(b.base, "http", "ws", 1)+"/") {
			violation = "socket to " + u
		}
	}
	if violation != "" {
		b.mu.Lock()
		b.violations = append(b.violations, violation)
		b.mu.Unlock()
	}
}

func (b *browser) do(t *testing.T, steps ...chromedp.Action[chromedp.Void]) {
	t.Helper()
	if err := chromedp.Do(b.ctx, steps...); err != nil {
		b.picture(t, "failed")
		t.Fatal(err)
	}
}

// eval waits until an expression is truthy and returns its value.
func eval[T any](t *testing.T, b *browser, expression string) T {
	t.Helper()
	v, err := chromedp.Run(b.ctx, chromedp.Poll[T](expression))
	if err != nil {
		b.picture(t, "failed")
		t.Fatalf("%s: %v", expression, err)
	}
	return v
}

// picture saves a screenshot in the directory SCREENSHOTS, if it is set.
func (b *browser) picture(t *testing.T, name string) {
	t.Helper()
	dir := os.Getenv("SCREENSHOTS")
	if dir == "" {
		return
	}
	png, err := chromedp.Run(b.ctx, chromedp.CaptureScreenshot())
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, name+".png"), png, 0o644)
	}
	if err != nil {
		t.Errorf("screenshot %s: %v", name, err)
	}
}

// typeText types text as a keyboard would, but braces and all at once: key by key
// the editor would close them itself.
func typeText(text string) chromedp.Action[chromedp.Void] {
	return func(ctx context.Context, tab *chromedp.Target) (chromedp.Void, error) {
		_, err := cdp.Call(ctx, tab, input.InsertText, input.InsertTextParams{Text: text})
		return chromedp.Void{}, err
	}
}

// What GraphiQL keeps in its editors, by the end of the model's path.
const (
	modelOf   = `__MONACO.editor.getModels().find(m => m.uri.path.endsWith(%q))`
	operation = "operation.graphql"
	response  = "response.json"
)

func (b *browser) openPlayground(t *testing.T) {
	t.Helper()
	b.do(t, chromedp.Navigate(b.base+"/playground"),
		chromedp.WaitVisible(chromedp.CSS(".graphiql-query-editor .monaco-editor .view-lines")))
	eval[bool](t, b, `window.__MONACO?.editor.getModels().length >= 4`)
	eval[bool](t, b, fmt.Sprintf(modelOf, operation)+`.getValue() !== ""`)
}

// response returns the text of the response editor when it is complete.
func (b *browser) response(t *testing.T) string {
	t.Helper()
	return eval[string](t, b, `(() => {
		const text = `+fmt.Sprintf(modelOf, response)+`?.getValue() ?? "";
		try { JSON.parse(text) } catch { return "" }
		return document.querySelector(".graphiql-spinner") ? "" : text;
	})()`)
}

// readyToRun waits until GraphiQL has read the query, a moment after its last
// change, and clears the response editor.
func (b *browser) readyToRun(t *testing.T) {
	t.Helper()
	eval[bool](t, b, `localStorage.getItem("graphiql:query") === `+fmt.Sprintf(modelOf, operation)+`.getValue()`)
	b.do(t, chromedp.Evaluate[chromedp.Void](fmt.Sprintf(modelOf, response)+`?.setValue("")`))
}

// startSeeded starts the program with a few users and listings in it. The first of
// each has the id 1, which the samples use.
func startSeeded(t *testing.T) *program {
	t.Helper()
	p := start(t, "--data-dir", t.TempDir())
	for i, name := range []string{"Suresh Subramaniam", "名前", "Lorel Ipsum"} {
		id := p.addUser(t, name)
		p.addListing(t, id, "rent", int64(6000+i))
		p.addListing(t, id, "sale", 45_000_000_000)
	}
	return p
}

func TestStartPageInBrowser(t *testing.T) {
	b := openBrowser(t, startSeeded(t).url)
	b.do(t, chromedp.Navigate(b.base+"/"), chromedp.WaitVisible(chromedp.CSS("h1")))
	if title := eval[string](t, b, `document.title`); title != "veranda" {
		t.Errorf("title %q", title)
	}
	if text := eval[string](t, b, `document.body.innerText`); !strings.Contains(text, "curl '"+b.base+"/public-api/listings") {
		t.Errorf("no line to try in %s", text)
	}
	b.picture(t, "start")
	// Its style is let through by its policy.
	if margin := eval[string](t, b, `getComputedStyle(document.body).maxWidth`); margin != "704px" {
		t.Errorf("the page is %s wide", margin)
	}
	for _, href := range eval[[]string](t, b, `[...document.querySelectorAll("a")].map(a => a.href)`) {
		u, err := url.Parse(href)
		if err != nil || !strings.HasPrefix(href, b.base+"/") {
			t.Errorf("link to %s", href)
			continue
		}
		if r := get(t, b.base+u.Path); r.status != 200 {
			t.Errorf("link to %s: %d", href, r.status)
		}
	}
	b.do(t, chromedp.Click(chromedp.CSS(`a[href="/playground"]`)),
		chromedp.WaitVisible(chromedp.CSS(".graphiql-query-editor .monaco-editor .view-lines")))
}

// The other tests here mean nothing if the browser does not record violations.
func TestBrowserRecordsViolations(t *testing.T) {
	elsewhere := httptest.NewServer(http.NotFoundHandler())
	defer elsewhere.Close()
	b := openBrowser(t, start(t, "--data-dir", t.TempDir()).url)
	for violation, script := range map[string]string{
		"exception: ":                 `setTimeout(() => { throw new Error("x") })`,
		"console.log: ":               `console.log("x")`,
		"log: error ":                 `document.body.append(Object.assign(document.createElement("script"), { textContent: "1" }))`,
		"request to " + elsewhere.URL: `location = ` + quote(elsewhere.URL),
	} {
		b.do(t, chromedp.Navigate(b.base+"/"))
		if got := b.take(); len(got) > 0 {
			t.Errorf("the page itself: %q", got)
		}
		b.do(t, chromedp.Evaluate[chromedp.Void](script+`; undefined`))
		for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(10 * time.Millisecond) {
			if strings.HasPrefix(strings.Join(b.take(), ""), violation) {
				break
			}
			if time.Now().After(deadline) {
				t.Errorf("%s: no violation", script)
				break
			}
		}
		b.do(t, chromedp.Navigate("about:blank"))
		b.take()
	}
}

func TestPlaygroundInBrowser(t *testing.T) {
	b := openBrowser(t, startSeeded(t).url)
	b.openPlayground(t)
	b.picture(t, "playground")

	// Type a query over the sample, run it with the button, read the response.
	b.do(t, chromedp.Click(chromedp.CSS(".graphiql-query-editor .view-lines")),
		chromedp.KeyEvent("a", chromedp.KeyModifiers(chromedp.ModifierCtrl)),
		chromedp.KeyEvent("\b"),
		typeText(`{ listings(pageSize: 1) { price user { name } } }`))
	b.readyToRun(t)
	b.do(t, chromedp.Click(chromedp.CSS("button.graphiql-execute-button")))
	want := `{"data":{"listings":[{"price":45000000000,"user":{"name":"Lorel Ipsum"}}]}}`
	if got := compact(b.response(t)); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	// It is not only in the model but on the screen.
	eval[bool](t, b, `document.querySelector(".graphiql-response .view-lines")?.innerText.includes("Lorel")`)
	b.picture(t, "result")

	// The same with the keyboard alone; a mistake is shown as one.
	b.do(t, chromedp.Click(chromedp.CSS(".graphiql-query-editor .view-lines")),
		chromedp.KeyEvent("a", chromedp.KeyModifiers(chromedp.ModifierCtrl)),
		chromedp.KeyEvent("\b"),
		typeText(`{ listings(pageSize: 0) { price } }`))
	b.readyToRun(t)
	b.do(t, chromedp.KeyEvent("\r", chromedp.KeyModifiers(chromedp.ModifierCtrl)))
	if got := b.response(t); !strings.Contains(got, "pageSize: must be at least 1") {
		t.Errorf("got %s", got)
	}
	b.picture(t, "refusal")

	// The schema's documentation opens.
	b.do(t, chromedp.Click(chromedp.CSS(`button[aria-label="Show Documentation Explorer"]`)))
	eval[bool](t, b, `document.querySelector(".graphiql-doc-explorer")?.innerText.includes("Query")`)
	b.picture(t, "documentation")
}

func TestSamplesInBrowser(t *testing.T) {
	b := openBrowser(t, startSeeded(t).url)
	b.openPlayground(t)
	tabs := eval[int](t, b, `document.querySelectorAll('button.graphiql-tab-button').length`)
	if tabs < 5 {
		t.Fatalf("%d samples", tabs)
	}
	for i := range tabs {
		b.do(t, chromedp.Evaluate[chromedp.Void](fmt.Sprintf(`document.querySelectorAll('button.graphiql-tab-button')[%d].click()`, i)))
		name := eval[string](t, b, fmt.Sprintf(`document.querySelectorAll('button.graphiql-tab-button')[%d].innerText.trim()`, i))
		query := eval[string](t, b, `(() => {
			const text = `+fmt.Sprintf(modelOf, operation)+`.getValue();
			return text.includes(`+quote(name)+`) ? text : "";
		})()`)
		if strings.Contains(query, "subscription") {
			continue
		}
		b.readyToRun(t)
		b.do(t, chromedp.Click(chromedp.CSS("button.graphiql-execute-button")))
		got := compact(b.response(t))
		if !strings.HasPrefix(got, `{"data":{`) || strings.Contains(got, `"errors"`) || strings.Contains(got, `:null`) || strings.Contains(got, `[]`) {
			t.Errorf("%s: got %s", name, got)
		}
		if !strings.HasPrefix(strings.TrimSpace(query), "#") {
			t.Errorf("%s has no comment", name)
		}
		b.picture(t, fmt.Sprintf("sample %d", i+1))
	}
}

// compact takes the white space between values out of JSON.
func compact(text string) string {
	var b strings.Builder
	inText := false
	for i, c := range text {
		if c == '"' && (i == 0 || text[i-1] != '\\') {
			inText = !inText
		}
		if inText || !strings.ContainsRune(" \n\t", c) {
			b.WriteRune(c)
		}
	}
	return b.String()
}
