package view

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"forager/cmd/worker/page"
	"forager/enrich/claim"
)

// Bounds of what is a concern.
const (
	manyWait   = 10_000           // messages; the alert ForagerLagging has the same
	diedLately = 10 * time.Minute // a replica that was silent longer is history
)

// remedy is what to do about a reason or note that begins or goes on with some words, and what that means; empty: the
// words say it.
type remedy struct{ words, means, do string }

// remedies are looked through in this order: the first that fits is taken. docs/how-to/troubleshoot.md tells more.
var remedies = [...]remedy{
	{"gate is closed: blocked", "TheHive refuses the worker, or lacks what it needs", "\"worker check --connect\" says what TheHive refuses. Give the account its rights, or write the new key into its file: the gate opens by itself, and nothing is lost."},
	{"gate is closed: ledger unreachable", "The ledger in NATS cannot be reached", "Look at NATS: the ledger's bucket, its leader, its permissions. The gate opens by itself, and nothing is lost."},
	{"gate is closed: thehive does not answer", "TheHive does not answer", "Look at TheHive and its log, and at what lies between. Detections wait in the stream; the gate opens by itself, and nothing is lost."},
	{"gate is closed: applies fail", "TheHive fails at what it is asked to write", "Look at TheHive and its log. One message after the other is tried; the gate opens by itself, and nothing is lost."},
	{"gate is closed: dead-letter stream unreachable", "The dead-letter stream cannot be reached, or is full", "Make room in the dead-letter stream: \"worker dlq ls\", then \"worker dlq requeue\" or \"worker dlq purge\"; or raise its max bytes."},
	{"gate of organisation", "", "Make the worker's account a member there again, with the rights of an analyst. Other organisations go on; what waits lands by itself."},
	{"messages of ", "", "A route, template or custom field is refused: \"worker dlq show N\" one, mend it, then \"worker dlq requeue --reason …\". Other senders go on; what waits lands by itself."},
	{"nats refused to", "", "Add that line of deploy/nats/permissions.conf to the worker's user."},
	{"nats is not connected", "NATS does not answer", "Look at NATS and the way to it. The worker comes back by itself, and nothing is lost."},
	{"nats: ", "NATS is not ready for the worker", "Look at NATS and the way to it: \"worker check --connect\". Nothing need be restarted."},
	{"thehive: ", "TheHive is not ready for the worker", "Look at TheHive and the way to it: \"worker check --connect\". Nothing need be restarted."},
	{"cannot be used", "", "\"worker check --connect\" names what is broken, and the remedy. Nothing was taken."},
	{"the consumer's position", "", "Make the consumer anew from the message that is named, then start a worker."},
	{"went back", "", "Look at how NATS lost it (sync_interval, replicas): docs/explanation/promises.md, \"What they rest on\"."},
	{"was made anew", "", "Look at how NATS lost it (sync_interval, replicas): docs/explanation/promises.md, \"What they rest on\"."},
	{"is a mirror", "", "Look at the link of the mirror to its origin."},
	{"reload failed", "", "Mend the file: \"worker check\" says where. It is read again by itself."},
	{"stopping", "", "Nothing: it was told to end."},
}

// concernOf is a reason or note with what it means and what to do about it, as far as that is known.
func concernOf(words string) page.Concern {
	for _, r := range remedies {
		if !strings.Contains(strings.ToLower(words), r.words) {
			continue
		}
		if r.means == "" {
			return page.Concern{What: words, Do: r.do}
		}
		return page.Concern{What: r.means, Words: words, Do: r.do}
	}
	return page.Concern{What: words}
}

// counting begins the one note of a worker that is no concern: how many replicas share the work.
const counting = "replicas that live: "

// concerns are what somebody should see to, the worst first.
func concerns(s page.Snapshot, reasons, notes []string, stuck time.Time) (all []page.Concern) {
	for _, r := range reasons {
		c := concernOf(r)
		c.Stuck, c.Since = true, stuck
		all = append(all, c)
	}
	for _, n := range notes {
		if !strings.HasPrefix(n, counting) {
			all = append(all, concernOf(n))
		}
	}
	for _, p := range s.Promises {
		if p.Grave && p.N > 0 {
			all = append(all, page.Concern{What: fmt.Sprintf("%s: %d", p.Name, p.N), Do: p.Do, See: "promises"})
		}
	}
	all = append(all, silent(s)...)
	if b := s.Flow.Behind; b.Known && b.Waiting > manyWait {
		all = append(all, page.Concern{What: fmt.Sprintf("%d messages wait", b.Waiting), See: "flow",
			Do: "Is TheHive slow, or are calls throttled? More replicas help only while TheHive has room. One key that has nearly all of them is worked by one replica at a time."})
	}
	if l := s.Letters; l.Known && l.Waiting > 0 {
		all = append(all, page.Concern{What: waiting(l.Waiting), Since: oldest(l), Do: "Mend what they died of, then send them again.", See: "letters"})
	}
	return all
}

// waiting says how many dead letters there are.
func waiting(n uint64) string {
	if n == 1 {
		return "1 dead letter waits"
	}
	return fmt.Sprintf("%d dead letters wait", n)
}

// mostNamed is how many replicas are named at once.
const mostNamed = 5

// silent are replicas that died a moment ago: one concern, since the first of them.
func silent(s page.Snapshot) []page.Concern {
	var names []string
	longest := time.Duration(0)
	for _, r := range s.Flow.Replicas {
		if r.State == string(claim.SessionSilent) && r.Seen < diedLately {
			names, longest = append(names, r.Name), max(longest, r.Seen)
		}
	}
	if len(names) == 0 {
		return nil
	}
	what := "Replica " + names[0] + " gives no sign of life; what it held is taken over"
	if n := len(names); n > 1 {
		what = fmt.Sprintf("%d replicas give no sign of life; what they held is taken over: %s", n, strings.Join(names[:min(n, mostNamed)], ", "))
		if n > mostNamed {
			what += fmt.Sprintf(" and %d more", n-mostNamed)
		}
	}
	return []page.Concern{{What: what, Since: s.At.Add(-longest), See: "flow", Do: "Did it crash, or is it cut off from NATS? Its own log, or \"kubectl get pods\", says so."}}
}

// oldest is when the first of the letters died; zero is unknown.
func oldest(l page.Letters) time.Time {
	if len(l.Groups) == 0 {
		return time.Time{}
	}
	return slices.MinFunc(l.Groups, func(a, b page.Group) int { return cmp.Compare(a.Oldest.UnixNano(), b.Oldest.UnixNano()) }).Oldest
}
