package browser

import (
	"context"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/require"
)

const (
	// patience bounds each wait: two cores do everything.
	patience = time.Minute
	// wide and high are the window, in pixels.
	wide, high = 1280, 900
)

// tab is a window of Chromium of somebody alone, with cookies of its own.
type tab struct {
	*stage

	t   testing.TB
	ctx context.Context //nolint:containedctx // chromedp keeps the window in it

	mu        sync.Mutex
	complaint []string
}

// chromium is the path of the browser, which `make parts` installs. Tests that need it fail where
// there is none.
func chromium(t testing.TB) string {
	t.Helper()
	for _, name := range []string{os.Getenv("CHROMIUM"), "chromium", "chromium-browser", "google-chrome"} {
		if path, err := exec.LookPath(name); name != "" && err == nil {
			return path
		}
	}
	require.Fail(t, "no Chromium: install it (Debian: apt-get install chromium), or name it by CHROMIUM")
	return ""
}

// open starts a browser for one test.
func (s *stage) open(t testing.TB) *tab {
	t.Helper()
	allocator, end := chromedp.NewExecAllocator(context.WithoutCancel(t.Context()),
		chromedp.ExecPath(chromium(t)), chromedp.Headless, chromedp.NoSandbox, chromedp.NoFirstRun, chromedp.NoDefaultBrowserCheck, chromedp.DisableGPU,
		chromedp.IgnoreCertErrors, chromedp.WindowSize(wide, high), chromedp.Flag("disable-dev-shm-usage", true), chromedp.Flag("force-color-profile", "srgb"))
	t.Cleanup(end)
	made := &tab{stage: s, t: t}
	ctx, closing := chromedp.NewContext(allocator)
	t.Cleanup(closing)
	made.ctx = ctx
	messages := chromedp.Console(ctx)
	listening := make(chan struct{})
	go func() {
		defer close(listening)
		for message, err := range messages {
			if err != nil {
				return
			}
			if message.Type == chromedp.ConsoleError || message.Type == chromedp.ConsoleException || message.Type == chromedp.ConsoleWarning {
				made.mu.Lock()
				made.complaint = append(made.complaint, fmt.Sprintf("%s: %s (%s)", message.Type, message.Text, message.URL))
				made.mu.Unlock()
			}
		}
	}()
	t.Cleanup(func() {
		_ = chromedp.Cancel(ctx)
		<-listening
	})
	return made
}

// do does steps one after the other.
func (b *tab) do(steps ...chromedp.Action[chromedp.Void]) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, patience)
	defer cancel()
	require.NoError(b.t, chromedp.Do(ctx, steps...))
}

// eval returns what a script answers.
func eval[T any](b *tab, script string) T {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, patience)
	defer cancel()
	value, err := chromedp.Run(ctx, chromedp.Evaluate[T](script, chromedp.EvalAwaitPromise))
	require.NoError(b.t, err, script)
	return value
}

// visit opens a page of the dashboard.
func (b *tab) visit(path string) *tab {
	b.t.Helper()
	b.do(chromedp.Navigate(b.server.URL + path))
	return b
}

// signIn signs in by the form.
func (b *tab) signIn(token string) *tab {
	b.t.Helper()
	b.visit("/sign-in")
	b.do(chromedp.SendKeys(chromedp.CSS("#token"), token), chromedp.Submit(chromedp.CSS("#token")), chromedp.WaitVisible(chromedp.CSS(".user")))
	return b
}

// text is what the reader reads: nothing while the browser is on the way to another page.
func (b *tab) text() string {
	b.t.Helper()
	return eval[string](b, `document.body ? document.body.innerText : ""`)
}

// sees waits until the page has a text.
func (b *tab) sees(text string) *tab {
	b.t.Helper()
	content := ""
	for until := time.Now().Add(patience / 6); time.Now().Before(until); b.do(chromedp.Sleep(50 * time.Millisecond)) {
		if content = b.text(); strings.Contains(content, text) {
			return b
		}
	}
	require.Contains(b.t, content, text, b.path())
	return b
}

// within has failures told as those of a part of the test.
func (b *tab) within(t testing.TB) *tab {
	return &tab{stage: b.stage, t: t, ctx: b.ctx}
}

// path is where the browser is, without the server.
func (b *tab) path() string {
	b.t.Helper()
	return eval[string](b, "location.pathname + location.search")
}

// click follows the link, or presses the button, of this text.
func (b *tab) click(text string) *tab {
	b.t.Helper()
	script := fmt.Sprintf(`(() => {
		const all = [...document.querySelectorAll("a, button, summary")].filter((one) => one.textContent.trim().replace(/\s+/g, " ").includes(%q));
		const exact = all.find((one) => one.textContent.trim() === %q) || all[0];
		if (!exact) return "";
		const to = exact.getAttribute("href");
		if (to) location.href = to instanceof Object ? to.baseVal : to; else exact.click();
		return "done";
	})()`, text, text)
	require.Equal(b.t, "done", eval[string](b, script), "the page has nothing to click that says %q", text)
	b.do(chromedp.Sleep(100*time.Millisecond), chromedp.WaitReady(chromedp.CSS("main")))
	return b
}

// theme has pages look dark or light, as the system would ask for.
func (b *tab) theme(name string) *tab {
	b.t.Helper()
	b.do(func(ctx context.Context, target *chromedp.Target) (none chromedp.Void, err error) {
		_, err = cdp.Call(ctx, target, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
			Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: name}, {Name: "prefers-reduced-motion", Value: "reduce"}},
		})
		return none, err
	})
	return b
}

// withoutScripts switches JavaScript off.
func (b *tab) withoutScripts() *tab {
	b.t.Helper()
	b.do(func(ctx context.Context, target *chromedp.Target) (none chromedp.Void, err error) {
		_, err = cdp.Call(ctx, target, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: true})
		return none, err
	})
	return b
}

// size makes the window as large as a phone, or a wall.
func (b *tab) size(width, height int64) *tab {
	b.t.Helper()
	b.do(chromedp.EmulateViewport(width, height))
	return b
}

// screenshot writes the whole page to bin/screenshots.
func (b *tab) screenshot(name string) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, patience)
	defer cancel()
	picture, err := chromedp.Run(ctx, chromedp.FullScreenshot(100))
	require.NoError(b.t, err)
	folder := filepath.Join("..", "..", "bin", "screenshots")
	require.NoError(b.t, os.MkdirAll(folder, 0o755))
	require.NoError(b.t, os.WriteFile(filepath.Join(folder, name+".png"), picture, 0o644))
}

// window returns what the reader sees without scrolling, as a PNG.
func (b *tab) window() []byte {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, patience)
	defer cancel()
	taken, err := chromedp.Run(ctx, chromedp.CaptureScreenshot())
	require.NoError(b.t, err)
	return taken
}

// quiet fails where the browser has complained, such as of a script that the Content-Security-
// Policy stopped.
func (b *tab) quiet() *tab {
	b.t.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	require.Empty(b.t, b.complaint)
	return b
}

// violation is what axe found.
type violation struct {
	ID     string `json:"id"`
	Help   string `json:"help"`
	Target string `json:"target"`
}

var axe = sync.OnceValues(func() ([]byte, error) { return os.ReadFile(filepath.Join("..", "..", "bin", "axe", "axe.min.js")) })

// accessible fails where axe finds what WCAG 2.2 AA does not allow.
func (b *tab) accessible() *tab {
	b.t.Helper()
	source, err := axe()
	require.NoError(b.t, err, "make parts gets it")
	eval[chromedp.Void](b, string(source)+"; undefined")
	found := eval[[]violation](b, `axe.run(document, { runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"] })
		.then((found) => found.violations.map((one) => ({ id: one.id, help: one.help, target: one.nodes.map((node) => node.target + " " + node.html.slice(0, 120)).slice(0, 3).join("; ") })))`)
	require.Empty(b.t, found, "at %s", b.path())
	return b
}

// fits fails where the page is wider than the window.
func (b *tab) fits() *tab {
	b.t.Helper()
	require.LessOrEqual(b.t, eval[int](b, "document.documentElement.scrollWidth"), eval[int](b, "window.innerWidth"), "the page at %s scrolls sideways", b.path())
	return b
}

// fill types into a field, and sends its form.
func (b *tab) fill(selector, text string) *tab {
	b.t.Helper()
	b.do(chromedp.SendKeys(chromedp.CSS(selector), text), chromedp.Submit(chromedp.CSS(selector)), chromedp.Sleep(200*time.Millisecond), chromedp.WaitReady(chromedp.CSS("main")))
	return b
}

// sorted is an address with its query in order.
func sorted(address string) string {
	path, query, _ := strings.Cut(address, "?")
	values, err := url.ParseQuery(query)
	if err != nil {
		return address
	}
	return path + "?" + values.Encode()
}

// small fails where the page, with all that it loads, has more than 100 KB as it is sent.
func (b *tab) small() *tab {
	b.t.Helper()
	size := eval[int](b, `[...performance.getEntriesByType("navigation"), ...performance.getEntriesByType("resource")].filter((one) => !one.name.includes("/live/")).reduce((sum, one) => sum + one.encodedBodySize, 0)`)
	require.Less(b.t, size, 100_000, "the page at %s", b.path())
	return b
}
