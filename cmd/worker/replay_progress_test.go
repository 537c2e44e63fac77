package main

import (
	"bytes"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"forager/cmd/worker/shell"
	"forager/cmd/worker/terminal"
	"forager/pipeline/replay"
)

// replayStates are those of a replay that waits for live traffic, is told to start a worker, and ends.
func replayStates() []replay.State {
	span := replay.Span{First: 1, Last: 200}
	waits := func(ahead uint64, idle bool) replay.State {
		return replay.State{Span: span, Waits: strings.Repeat("live traffic first ", 20), LiveAhead: ahead, LiveIdle: idle}
	}
	return []replay.State{
		{Span: span, Passed: 10}, waits(90, false), waits(80, true), waits(80, true), waits(70, false),
		{Span: span, Passed: 100}, {Span: span, Passed: 200, Acked: 200},
	}
}

const idleHint = "worker: no live worker takes the messages that the replay waits for: start one, or give --ignore-live\n"

func TestOnATerminalTheBarStaysOneLine(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		bar := terminal.BeginOn(&out, 80, shell.NewPrinter(&out), "replay")
		p := &progress{bar: bar, text: bar}
		for _, s := range replayStates() {
			p.tell(s)
			time.Sleep(3 * time.Second)
		}
		if _, err := p.Write([]byte("{\"level\":\"warn\"}\n")); err != nil {
			t.Fatal(err)
		}
		p.end()
		text := out.String()
		if n := strings.Count(text, idleHint); n != 1 {
			t.Errorf("the hint is given %d times", n)
		}
		if n := strings.Count(text, "the replay waits: "); n != 1 {
			t.Errorf("why it waits is said %d times", n)
		}
		if n := strings.Count(text, "\n"); n != 3 { // why, hint, and the log
			t.Errorf("%d lines: %q", n, text)
		}
		if !strings.Contains(text, "(200/200") || !strings.Contains(text, "replay waits") {
			t.Errorf("no end: %q", text)
		}
	})
}

func TestElsewhereALineIsWrittenNowAndThen(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		p := &progress{text: shell.NewPrinter(&out)}
		for _, s := range replayStates() {
			p.tell(s)
		}
		if n := strings.Count(out.String(), "worker: replay "); n != 4 { // at first, waits, waits no more, the end
			t.Errorf("%d lines: %s", n, out.String())
		}
		if strings.Count(out.String(), idleHint) != 1 || !strings.HasSuffix(out.String(), "worker: replay 100.0 %: 200 of 200 sequences; here 200 carried, 0 dropped, 0 dead letters\n") {
			t.Errorf("%s", out.String())
		}
		out.Reset()
		state := replay.State{Span: replay.Span{First: 1, Last: 200}, Passed: 7}
		for range 25 {
			time.Sleep(time.Second)
			p.tell(state)
		}
		if n := strings.Count(out.String(), "\n"); n != 3 && n != 2 {
			t.Errorf("%d lines in 25 s: %s", n, out.String())
		}
	})
}

func TestTheBarStaysBelowTheLog(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		fancy      bool
		level, got string
	}{{true, "info", "warn"}, {true, "debug", "debug"}, {true, "error", "error"}, {false, "info", "info"}} {
		p := &progress{}
		if c.fancy {
			p.bar = new(terminal.Progress)
		}
		if got := p.level(c.level); got != c.got {
			t.Errorf("terminal %v, %s: %s, want %s", c.fancy, c.level, got, c.got)
		}
	}
}
