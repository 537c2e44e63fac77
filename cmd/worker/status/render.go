package status

import (
	"fmt"
	"io"
	"strconv"
	"text/tabwriter"
	"time"

	"forager/enrich/claim"
	"forager/enrich/detection/canon"
)

// mostReasons are shown to people; scripts see all.
const mostReasons = 8

// Write writes a status for people: what hurts first.
func Write(to io.Writer, s Status) error {
	for _, p := range s.Problems {
		fmt.Fprintln(to, "! "+canon.Line(p, 300))
	}
	if len(s.Problems) > 0 {
		fmt.Fprintln(to)
	}
	t := tabwriter.NewWriter(to, 0, 0, 2, ' ', 0)
	fmt.Fprintf(t, "stream\t%s\n", known(s.Stream.Known, fmt.Sprintf("%s, consumer %s: %d wait, %d in hand%s", s.Stream.Name, s.Stream.Consumer, s.Stream.Waiting, s.Stream.Unacknowledged, limit(s.Stream.Limit))))
	fmt.Fprintf(t, "thehive\t%s\n", known(s.Hive.Known, fmt.Sprintf("%s %s as %s: answers in %.0f ms", s.Hive.URL, canon.Line(s.Hive.Version, 30), canon.Line(s.Hive.User, 60), s.Hive.Milliseconds)))
	fmt.Fprintf(t, "dead letters\t%s\n", known(s.Letters.Known, fmt.Sprintf("%d wait%s", s.Letters.Waiting, advice(s.Letters.Waiting))))
	if s.Below != (Below{Known: true}) {
		fmt.Fprintf(t, "thresholds\t%s\n", known(s.Below.Known, fmt.Sprintf("%d wait below one%s; about %d met, %d detections dropped below one", s.Below.Waiting, since(s.Below), s.Below.Met, s.Below.Dropped)))
	}
	if err := t.Flush(); err != nil {
		return err
	}
	if err := writeReasons(to, s.Letters.ByReason); err != nil {
		return err
	}
	return writeReplicas(to, s.Replicas)
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

func known(is bool, text string) string {
	if is {
		return text
	}
	return "unknown"
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

func writeReasons(to io.Writer, all []Reason) error {
	if len(all) == 0 {
		return nil
	}
	t := tabwriter.NewWriter(to, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "\nLETTERS\tREASON\tSTEP\tANSWER\tNEWEST")
	for i, r := range all {
		if i == mostReasons {
			fmt.Fprintf(t, "…\t%d more reasons\n", len(all)-i)
			break
		}
		answer := ""
		if r.Status != 0 {
			answer = strconv.Itoa(r.Status)
		}
		fmt.Fprintf(t, "%d\t%s\t%s\t%s\t%s\n", r.Count, canon.Line(r.Reason, 60), canon.Line(r.Step, 20), answer, r.Newest.UTC().Format(time.RFC3339))
	}
	return t.Flush()
}

func writeReplicas(to io.Writer, all []Replica) error {
	if len(all) == 0 {
		return nil
	}
	t := tabwriter.NewWriter(to, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "\nREPLICA\tSTATE\tSEEN\tSTARTED\tCALLS\tSAYS")
	ended := 0
	for _, r := range all {
		if r.State == claim.SessionEnded {
			ended++
			continue
		}
		says := canon.Line(r.Says, 120)
		if says == "" && r.State == claim.SessionLive {
			says = "consuming"
		}
		fmt.Fprintf(t, "%s\t%s\t%s ago\t%s\t%d\t%s\n", canon.Line(r.Pod, 60), r.State, ago(r.SeenSeconds), r.Started.UTC().Format(time.RFC3339), r.Concurrency, says)
	}
	if ended > 0 {
		fmt.Fprintf(t, "%d that stopped in order within a week\n", ended)
	}
	return t.Flush()
}

func ago(seconds float64) string {
	return time.Duration(seconds * float64(time.Second)).Round(time.Second).String()
}
