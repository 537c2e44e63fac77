package browser

import (
	"bufio"
	"context"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
)

// patience bounds everything that a browser is asked for.
const patience = 30 * time.Second

// stage is a demonstration that runs, and a browser.
type stage struct {
	t       *testing.T
	worker  string // the binary
	address string // of the page
	nats    string
	open    func() (context.Context, context.CancelFunc) // a tab of the browser
}

func newStage(t *testing.T) *stage {
	t.Helper()
	chromium := ""
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if path, err := exec.LookPath(name); err == nil {
			chromium = path
			break
		}
	}
	if chromium == "" {
		t.Skip("there is no Chromium here: apt-get install chromium")
	}
	s := &stage{t: t, worker: filepath.Join(t.TempDir(), "worker")}
	build := exec.CommandContext(t.Context(), "go", "build", "-o", s.worker, "./cmd/worker")
	build.Dir = filepath.Join("..", "..")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	s.demonstrate()
	allocated, stop := chromedp.NewExecAllocator(t.Context(), append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(chromium), chromedp.NoSandbox, chromedp.DisableGPU)...)
	t.Cleanup(stop)
	browser, end := chromedp.NewContext(allocated)
	t.Cleanup(end)
	must(t, chromedp.Do(browser))
	s.open = func() (context.Context, context.CancelFunc) { return chromedp.NewContext(browser) }
	return s
}

// demonstrate starts a demonstration with the built-in samples, an event that would act, and one that nobody reads.
func (s *stage) demonstrate() {
	s.t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(s.t, err)
	s.address = l.Addr().String()
	must(s.t, l.Close())
	own := filepath.Join(s.t.TempDir(), "own.ndjson")
	must(s.t, os.WriteFile(own, []byte(hostileEvent+"\n{\"broken\":\n"), 0o600))
	demo := exec.CommandContext(s.t.Context(), s.worker, "demo", "--calm", "--addr", s.address, filepath.Join("..", "..", "cmd", "worker", "demo", "samples"), own)
	demo.Stdout = io.Discard
	said, err := demo.StderrPipe()
	must(s.t, err)
	must(s.t, demo.Start())
	s.t.Cleanup(func() { _ = demo.Process.Kill(); _ = demo.Wait() })
	listens := regexp.MustCompile(`nats://[0-9.:]+`)
	for lines := bufio.NewScanner(said); s.nats == "" && lines.Scan(); {
		s.nats = listens.FindString(lines.Text())
	}
	if s.nats == "" {
		s.t.Fatal("the demonstration did not say where NATS listens")
	}
}

// publish sends an event into the stream, as a sender would.
func (s *stage) publish(event string) {
	s.t.Helper()
	send := exec.CommandContext(s.t.Context(), s.worker, "publish", "-")
	send.Stdin = strings.NewReader(event)
	send.Env = append(os.Environ(), "FORAGER_NATS_URL="+s.nats, "FORAGER_NATS_STREAM=DEMO", "FORAGER_NATS_SUBJECTS=demo.>")
	if out, err := send.CombinedOutput(); err != nil {
		s.t.Fatalf("publish: %v\n%s", err, out)
	}
}

// tab is a page of the browser; what should not happen in it is an error of the test.
func (s *stage) tab(t *testing.T, wide, high int64, scheme string, actions ...chromedp.Action[chromedp.Void]) context.Context {
	t.Helper()
	ctx, end := s.open()
	t.Cleanup(end)
	ctx, cancel := context.WithTimeout(ctx, patience)
	t.Cleanup(cancel)
	must(t, chromedp.Listen(ctx, func(event any) {
		switch e := event.(type) {
		case *runtime.EventExceptionThrown:
			t.Errorf("exception: %s", e.ExceptionDetails.Text)
		case *runtime.EventConsoleAPICalled:
			t.Errorf("console: %s %v", e.Type, e.Args)
		case *log.EventEntryAdded:
			t.Errorf("log: %s %s %s", e.Entry.Level, e.Entry.Text, e.Entry.URL)
		case *network.EventRequestWillBeSent:
			if !strings.HasPrefix(e.Request.URL, "http://"+s.address+"/") {
				t.Errorf("a request to somebody else: %s", e.Request.URL)
			}
		case *page.EventJavascriptDialogOpening:
			t.Errorf("an event acts: %s", e.Message)
		}
	}))
	all := append([]chromedp.Action[chromedp.Void]{
		call(network.Enable, network.EnableParams{}), call(log.Enable, cdp.Empty{}), call(runtime.Enable, cdp.Empty{}),
		call(emulation.SetDeviceMetricsOverride, emulation.SetDeviceMetricsOverrideParams{Width: wide, Height: high, DeviceScaleFactor: 1}),
		call(emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}, {Name: "prefers-reduced-motion", Value: "reduce"}}}),
	}, actions...)
	must(t, chromedp.Do(ctx, all...))
	return ctx
}

// home is the address of the page.
func (s *stage) home() string { return "http://" + s.address + "/" }

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// eval asks a page.
func eval[T any](t *testing.T, ctx context.Context, script string) T {
	t.Helper()
	got, err := chromedp.Run(ctx, chromedp.Evaluate[T](script))
	if err != nil {
		t.Fatalf("%s: %v", script, err)
	}
	return got
}

// until waits for a page to say true.
func until(t *testing.T, ctx context.Context, script string) {
	t.Helper()
	if _, err := chromedp.Run(ctx, chromedp.Poll[bool](script, chromedp.WithPollingInterval(100*time.Millisecond), chromedp.WithPollingTimeout(patience/2))); err != nil {
		t.Fatalf("waited for %s: %v; the dialog says %.300q", script, err, eval[string](t, ctx, `document.getElementById("opened")?.textContent ?? ""`))
	}
}

// call makes an action of a command of the protocol.
func call[P, R any](command cdp.Command[P, R], params P) chromedp.Action[chromedp.Void] {
	return chromedp.Func(func(ctx context.Context, target *chromedp.Target) error {
		_, err := cdp.Call(ctx, target, command, params)
		return err
	})
}

// do runs a script for what it does.
func do(script string) chromedp.Action[chromedp.Void] {
	return chromedp.Func(func(ctx context.Context, target *chromedp.Target) error {
		_, err := chromedp.Evaluate[any](script)(ctx, target)
		return err
	})
}

// text reads what an element shows.
func text(selector string, into *string) chromedp.Action[chromedp.Void] {
	return chromedp.Func(func(ctx context.Context, target *chromedp.Target) (err error) {
		*into, err = chromedp.Text(selector)(ctx, target)
		return err
	})
}
