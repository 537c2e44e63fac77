package inspect

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats.go"

	"forager/pipeline/stream"
)

// Bounds of what is listened to: subjects that are remembered, and those that are named.
const (
	mostSubjects = 1000
	mostNamed    = 5
)

// heard is what was published to a subject.
type heard struct {
	subject  string
	messages int
}

// Listen hears for some time what is published where the stream of detections does not listen, and names what looks like an alert: a publisher is
// told nothing by NATS when no stream takes what it publishes. Who publishes nothing meanwhile is not heard, nor who publishes in another
// account. Subscribing to everything is not among a worker's permissions: where the server refuses it, a note says that nothing could be heard.
//
// It takes so long, or until ctx ends; what the stream is named and listens to is in expected. Nothing is changed, and no message is kept.
func Listen(ctx context.Context, link *stream.Link, expected Expected, long time.Duration) []Finding {
	const about = "publishers"
	i := &inspection{link: link, expected: expected, denied: map[string]bool{}}
	if !i.connection(ctx, cmp.Or(expected.Reach, reachWithin)) {
		return i.found
	}
	takes := slices.Clone(expected.Subjects)
	if info := i.there(ctx, expected.Stream); info != nil {
		takes = info.Config.Subjects
	}
	all, err := i.hear(ctx, takes, long)
	if err != nil {
		i.add(LevelNote, about, "what is published elsewhere cannot be heard: "+stream.OneLine(err.Error()), "the account may not subscribe to everything, as it should be",
			"run check with a user that may subscribe to >, or look at the subjects in the forwarders' files")
		return i.found
	}
	if len(all) == 0 {
		i.add(LevelOK, about, "within "+long.String()+" nothing that looks like an alert was published outside "+strings.Join(takes, " "), "", "")
		return i.found
	}
	var named []string
	for _, h := range all[:min(mostNamed, len(all))] {
		named = append(named, fmt.Sprintf("%s (%d)", h.subject, h.messages))
	}
	what := "what looks like alerts is published where stream " + expected.Stream + " does not listen: " + strings.Join(named, ", ")
	if more := len(all) - len(named); more > 0 {
		what += fmt.Sprintf(", and %d more subjects", more)
	}
	i.add(LevelHurts, about, what, "unless another stream takes it, it is lost, and nobody tells the publisher", "let it publish below "+strings.Join(takes, " ")+" (falcosidekick: nats.subjecttemplate), or add the subject to the stream and to nats.subjects")
	return i.found
}

// hear counts by subject what looks like an alert outside these subjects, the most first.
func (i *inspection) hear(ctx context.Context, takes []string, long time.Duration) ([]heard, error) {
	subscription, err := i.link.Conn().SubscribeSync(">")
	if err != nil {
		return nil, err
	}
	defer func() { _ = subscription.Unsubscribe() }() // the connection is closed soon
	asked, answered := i.bounded(ctx)
	err = i.refused(asked, ">")
	answered()
	if err != nil {
		return nil, err
	}
	bounded, cancel := context.WithTimeout(ctx, long)
	defer cancel()
	counts := map[string]int{}
	count := func(msg *nats.Msg) {
		if (counts[msg.Subject] > 0 || len(counts) < mostSubjects) && isForeign(msg, takes) {
			counts[msg.Subject]++
		}
	}
	for {
		msg, err := subscription.NextMsgWithContext(bounded)
		if err != nil { // the time is over, or more came than could be looked at
			break
		}
		count(msg)
	}
	waiting, _, _ := subscription.Pending()
	for range waiting {
		msg, err := subscription.NextMsg(time.Millisecond)
		if err != nil {
			break
		}
		count(msg)
	}
	var all []heard
	for subject, n := range counts {
		all = append(all, heard{subject, n})
	}
	slices.SortFunc(all, func(a, b heard) int {
		return cmp.Or(-cmp.Compare(a.messages, b.messages), strings.Compare(a.subject, b.subject))
	})
	return all, nil
}

// Words that alerts have and most other messages have not.
var alerting = [][]byte{
	[]byte(`"rule"`), []byte(`"severity"`), []byte(`"priority"`), []byte(`"alert`), []byte(`"signature`), []byte(`"threat`), []byte(`"event_type"`), []byte(`"detection`),
	[]byte("CEF:0|"), []byte("LEEF:"),
}

// isForeign tells whether a message looks like an alert that these subjects do not take. Answers, the server's own subjects and Forager's are none.
func isForeign(msg *nats.Msg, takes []string) bool {
	for _, own := range []string{"_", "$", "forager."} {
		if strings.HasPrefix(msg.Subject, own) {
			return false
		}
	}
	return !slices.ContainsFunc(takes, func(s string) bool { return stream.Covers(s, msg.Subject) }) &&
		slices.ContainsFunc(alerting, func(word []byte) bool { return bytes.Contains(msg.Data, word) })
}
