// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

// Package console_test walks the console with a real browser, on a real server with real traffic: every page and flow, in
// light and dark, at the width of a telephone and of a desk. It wants what pages must say, silence on the browser's
// console, and no serious finding of axe-core.
//
// LEAT_CONSOLE_SHOTS=FOLDER writes a picture of every page there.
package console_test

import (
	"context"
	_ "embed"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
)

//go:embed testdata/axe/axe.min.js
var axe string

// browser is one tab. Its methods fail the test.
type browser struct {
	t     *testing.T
	ctx   context.Context
	root  string // http://HOST:PORT
	shots string // folder for pictures; empty for none

	mu   sync.Mutex
	said []string // by the browser's console
}

const patience = time.Minute // for one step, on a machine that does much else

// newBrowser starts Chromium, which make test installs.
func newBrowser(t *testing.T, root string) *browser {
	t.Helper()
	path := ""
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome", "chromium-headless-shell"} {
		if p, err := exec.LookPath(name); err == nil {
			path = p
			break
		}
	}
	if path == "" {
		t.Fatal("there is no Chromium: run tools/debian.sh test")
	}
	alloc, stop := chromedp.NewExecAllocator(context.Background(), append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath(path), chromedp.NoSandbox, chromedp.DisableGPU, chromedp.Headless, chromedp.NoInheritEnv,
		chromedp.Env("HOME="+t.TempDir(), "LANG=C.UTF-8"),
		chromedp.Flag("disable-dev-shm-usage", true), chromedp.Flag("disable-background-networking", true),
		chromedp.Flag("hide-scrollbars", true), chromedp.WSURLReadTimeout(patience),
	)...)
	ctx, cancel := chromedp.NewContext(alloc)
	t.Cleanup(func() { cancel(); stop() })
	b := &browser{t: t, ctx: ctx, root: root, shots: os.Getenv("LEAT_CONSOLE_SHOTS")}
	if err := chromedp.Do(ctx); err != nil {
		t.Fatalf("start %s: %v", path, err)
	}
	messages := chromedp.Console(ctx)
	go func() {
		for m, err := range messages {
			if err != nil {
				return
			}
			if m.Type == "error" || m.Type == "warning" || m.IsException() {
				b.mu.Lock()
				b.said = append(b.said, m.String())
				b.mu.Unlock()
			}
		}
	}()
	return b
}

// do runs steps with patience.
func (b *browser) do(about string, steps ...chromedp.Action[chromedp.Void]) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, patience)
	defer cancel()
	if err := chromedp.Do(ctx, steps...); err != nil {
		b.t.Fatalf("%s: %v\non %s:\n%.3000s", about, err, b.script("location.href"), b.text())
	}
}

// view sets the window and the theme.
func (b *browser) view(width int64, theme string) {
	b.t.Helper()
	mobile := []chromedp.EmulateViewportOption{}
	if width < 500 {
		mobile = append(mobile, chromedp.EmulateMobile, chromedp.EmulatePortrait)
	}
	b.do("view", chromedp.EmulateViewport(width, 900, mobile...), chromedp.Func(func(ctx context.Context, _ *chromedp.Target) error {
		_, err := chromedp.Call(ctx, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
			Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: theme}, {Name: "prefers-reduced-motion", Value: "reduce"}},
		})
		return err
	}))
}

// open goes to a page and waits until its scripts have run.
func (b *browser) open(path string) {
	b.t.Helper()
	b.do("open "+path, chromedp.Navigate(b.root+path))
	b.until("the page is there", `document.readyState === "complete" && document.documentElement.classList.contains("js")`)
}

// until waits for a condition in the page.
func (b *browser) until(about, condition string) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, patience)
	defer cancel()
	for {
		_, err := chromedp.Run(ctx, chromedp.Poll[bool](condition))
		if err == nil {
			return
		}
		if ctx.Err() != nil || !strings.Contains(err.Error(), "navigated") && !strings.Contains(err.Error(), "context") { // the page may change under a poll
			b.t.Fatalf("%s (%s): %v\non %s:\n%.3000s", about, condition, err, b.script("location.href"), b.text())
		}
	}
}

// script returns what an expression gives, as text.
func (b *browser) script(expression string) string {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, patience)
	defer cancel()
	v, err := chromedp.Run(ctx, chromedp.Evaluate[string]("String("+expression+")"))
	if err != nil {
		b.t.Fatalf("%s: %v", expression, err)
	}
	return v
}

func (b *browser) text() string { return b.script("document.body.innerText") }

// wants fails unless the page says all of these; case does not count.
func (b *browser) wants(texts ...string) {
	b.t.Helper()
	got := strings.ToLower(b.text())
	for _, want := range texts {
		if !strings.Contains(got, strings.ToLower(want)) {
			b.t.Errorf("%s does not say %q:\n%.2000s", b.script("location.pathname"), want, b.text())
		}
	}
}

// press submits or follows and waits for the next page.
func (b *browser) press(selector string) {
	b.t.Helper()
	b.script(`document.documentElement.dataset.old = "yes"`)
	b.do("press "+selector, chromedp.Click(chromedp.CSS(selector)))
	b.until("the next page", `document.readyState === "complete" && document.documentElement.classList.contains("js") && !document.documentElement.dataset.old`)
}

// shot writes a picture of the whole page.
func (b *browser) shot(name string) {
	b.t.Helper()
	if b.shots == "" {
		return
	}
	ctx, cancel := context.WithTimeout(b.ctx, patience)
	defer cancel()
	png, err := chromedp.Run(ctx, chromedp.FullScreenshot(100))
	if err != nil {
		b.t.Fatal(err)
	}
	if err := os.MkdirAll(b.shots, 0o755); err != nil {
		b.t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(b.shots, name+".png"), png, 0o600); err != nil {
		b.t.Fatal(err)
	}
}

// accessible fails on serious findings of axe-core. It is put into the page by the debugger, which the policy of the page
// does not bind.
func (b *browser) accessible() {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, patience)
	defer cancel()
	if err := chromedp.Do(ctx, chromedp.Func(func(ctx context.Context, _ *chromedp.Target) error {
		_, err := chromedp.Run(ctx, chromedp.Evaluate[string](axe+`; String(typeof axe)`))
		return err
	})); err != nil {
		b.t.Fatalf("axe: %v", err)
	}
	const run = `axe.run(document, {resultTypes: ["violations"]}).then(r => r.violations.filter(v => v.impact === "serious" || v.impact === "critical")
		.map(v => v.id + ": " + v.help + "\n" + v.nodes.slice(0, 4).map(n => "    " + n.target + "  " + n.html.slice(0, 160) + "\n      " + (n.any[0] || n.all[0] || n.none[0] || {}).message).join("\n")).join("\n"))`
	found, err := chromedp.Run(ctx, chromedp.Evaluate[string](run, chromedp.EvalAwaitPromise))
	if err != nil {
		b.t.Fatalf("axe: %v", err)
	}
	if found != "" {
		b.t.Errorf("axe-core finds on %s:\n%s", b.script("location.pathname"), found)
	}
}

// fits fails when the page is wider than the window.
func (b *browser) fits() {
	b.t.Helper()
	if wide := b.script("document.documentElement.scrollWidth - document.documentElement.clientWidth"); wide != "0" {
		who := b.script(`Array.from(document.querySelectorAll("main *")).filter(e => e.getBoundingClientRect().right > innerWidth + 1 && !e.closest(".scroll, pre, nav")).slice(0, 5).map(e => e.tagName + "." + e.className).join(" ")`)
		b.t.Errorf("%s is %s px wider than the window: %s", b.script("location.pathname"), wide, who)
	}
}

// quiet fails when the browser's console has said anything.
func (b *browser) quiet(allowed ...string) {
	b.t.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
next:
	for _, m := range b.said {
		for _, ok := range allowed {
			if strings.Contains(m, ok) {
				continue next
			}
		}
		b.t.Errorf("the browser's console says: %s", m)
	}
	b.said = nil
}

// each runs a walk in light and dark, on a telephone and at a desk.
func each(t *testing.T, walk func(t *testing.T, width int64, theme, suffix string)) {
	for _, width := range []int64{1440, 390} {
		for _, theme := range []string{"light", "dark"} {
			suffix := fmt.Sprintf("%s-%d", theme, width)
			t.Run(suffix, func(t *testing.T) { walk(t, width, theme, suffix) })
		}
	}
}
