package status

import (
	"fmt"
	"strconv"
	"time"

	"forager/cmd/worker/terminal"
	"forager/enrich/claim"
	"forager/enrich/detection/canon"
)

// mostReasons are shown to people; scripts see all.
const mostReasons = 8

// Write writes a status for people: what hurts first.
func Write(to *terminal.Screen, s Status) error {
	for _, p := range s.Problems {
		to.Line(2, terminal.Bad.Of("!"), terminal.Plain.Of(" "+canon.Line(p, 300)))
	}
	if len(s.Problems) > 0 {
		to.Blank()
	}
	l := terminal.NewList(0)
	row := func(name string, is bool, text string) { l.Row(terminal.Heading.Of(name), known(is, text)) }
	row("stream", s.Stream.Known, fmt.Sprintf("%s, consumer %s: %d wait, %d in hand%s", s.Stream.Name, s.Stream.Consumer, s.Stream.Waiting, s.Stream.Unacknowledged, limit(s.Stream.Limit)))
	row("thehive", s.Hive.Known, fmt.Sprintf("%s %s as %s: answers in %.0f ms", s.Hive.URL, canon.Line(s.Hive.Version, 30), canon.Line(s.Hive.User, 60), s.Hive.Milliseconds))
	row("dead letters", s.Letters.Known, fmt.Sprintf("%d wait%s", s.Letters.Waiting, advice(s.Letters.Waiting)))
	if s.Below != (Below{Known: true}) {
		row("thresholds", s.Below.Known, fmt.Sprintf("%d wait below one%s; about %d met, %d detections dropped below one", s.Below.Waiting, since(s.Below), s.Below.Met, s.Below.Dropped))
	}
	to.List(l)
	writeReasons(to, s.Letters.ByReason)
	writeReplicas(to, s.Replicas)
	return to.Failed()
}

// since says of what waits for how long, and how full its stream is.
func since(b Below) string {
	if b.Waiting == 0 {
		return ""
	}
	text := ", the oldest for " + ago(b.OldestSeconds)
	if b.Full >= 0.01 {
		text += fmt.Sprintf(", their stream is %.0f %% full", b.Full*100)
	}
	return text
}

func known(is bool, text string) terminal.Span {
	if is {
		return terminal.Plain.Of(text)
	}
	return terminal.Warning.Of("unknown")
}

func limit(n uint64) string {
	if n == 0 {
		return ""
	}
	return fmt.Sprintf(" of %d that may be", n)
}

func advice(letters uint64) string {
	if letters == 0 {
		return ""
	}
	return ` ("worker dlq ls" lists them, "worker dlq requeue" sends them again)`
}

func writeReasons(to *terminal.Screen, all []Reason) {
	if len(all) == 0 {
		return
	}
	t := terminal.NewTable(terminal.Column{Name: "LETTERS", Right: true}, terminal.Column{Name: "REASON", Fold: true}, terminal.Column{Name: "STEP"},
		terminal.Column{Name: "ANSWER"}, terminal.Column{Name: "NEWEST"})
	for i, r := range all {
		if i == mostReasons {
			t.Row(terminal.Plain.Of("…"), terminal.Plain.Of(fmt.Sprintf("%d more reasons", len(all)-i)))
			break
		}
		answer := ""
		if r.Status != 0 {
			answer = strconv.Itoa(r.Status)
		}
		t.Row(terminal.Number(r.Count), terminal.Bad.Of(canon.Line(r.Reason, 60)), terminal.Plain.Of(canon.Line(r.Step, 20)), terminal.Plain.Of(answer), terminal.Plain.Of(r.Newest.UTC().Format(time.RFC3339)))
	}
	to.Blank()
	to.Table(t)
}

func writeReplicas(to *terminal.Screen, all []Replica) {
	if len(all) == 0 {
		return
	}
	t := terminal.NewTable(terminal.Column{Name: "REPLICA", Fold: true}, terminal.Column{Name: "STATE"}, terminal.Column{Name: "SEEN"}, terminal.Column{Name: "STARTED", Spare: true},
		terminal.Column{Name: "CALLS", Right: true, Spare: true}, terminal.Column{Name: "SAYS", Fold: true})
	ended := 0
	for _, r := range all {
		if r.State == claim.SessionEnded {
			ended++
			continue
		}
		state, says := terminal.Warning, canon.Line(r.Says, 120)
		if r.State == claim.SessionLive {
			state = terminal.Good
		}
		if says == "" && r.State == claim.SessionLive {
			says = "consuming"
		}
		t.Row(terminal.Plain.Of(canon.Line(r.Pod, 60)), state.Of(string(r.State)), terminal.Plain.Of(ago(r.SeenSeconds)+" ago"),
			terminal.Plain.Of(r.Started.UTC().Format(time.RFC3339)), terminal.Number(r.Concurrency), terminal.Plain.Of(says))
	}
	to.Blank()
	if ended < len(all) {
		to.Table(t)
	}
	if ended > 0 {
		to.Line(0, terminal.Plain.Of(fmt.Sprintf("replicas that stopped in order within a week: %d", ended)))
	}
}

func ago(seconds float64) string {
	return time.Duration(seconds * float64(time.Second)).Round(time.Second).String()
}
