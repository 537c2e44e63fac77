package rollback

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"time"
)

// End is where a stream ended at one moment.
type End struct {
	Made   time.Time `json:"made"`   // when the stream was made; zero: nothing is known
	Last   uint64    `json:"last"`   // its last sequence
	Stored time.Time `json:"stored"` // when that message was stored
	Seen   time.Time `json:"seen"`   // when that was so, by the server's clock
}

// same tells whether both are the same place of one stream, whenever that was seen.
func (e End) same(o End) bool {
	return e.Made.Equal(o.Made) && e.Last == o.Last && e.Stored.Equal(o.Stored)
}

// Kind is what happened, one of a bounded vocabulary: a metric label.
type Kind string

// The kinds of incidents.
const (
	StreamBack  Kind = "stream went back"  // it lost its last messages
	LedgerBack  Kind = "ledger went back"  // it lost its last changes
	StreamAnew  Kind = "stream made anew"  // another stream of the same name
	LedgerAnew  Kind = "ledger made anew"  // another bucket of the same name
	MirrorLags  Kind = "mirror is behind"  // the stream is a mirror that does not get what its origin has
	ConsumerOff Kind = "consumer is ahead" // its position lies behind the stream's end
	unknownKind Kind = "other kind"        // written by a later version
)

// Kinds are all kinds.
func Kinds() []Kind {
	return []Kind{StreamBack, LedgerBack, StreamAnew, LedgerAnew, MirrorLags, ConsumerOff}
}

// Incident is one thing that happened, or is so.
type Incident struct {
	Kind    Kind      `json:"kind"`
	About   string    `json:"about"`             // the stream's or bucket's name
	From    uint64    `json:"from,omitempty"`    // the first sequence that is gone
	To      uint64    `json:"to,omitempty"`      // the last that anybody is known to have seen
	Count   uint64    `json:"count"`             // how many that are; of a mirror or consumer, by how many
	AtMost  bool      `json:"atMost,omitempty"`  // fewer may be gone: From was used again before anybody looked
	Settled uint64    `json:"settled,omitempty"` // how many of them were settled, at least
	Since   time.Time `json:"since,omitzero"`    // when the last message that is still there was stored
	Noticed time.Time `json:"noticed"`           // by the server's clock
}

// String says it to people, in one line.
func (i Incident) String() string {
	n := strconv.FormatUint(i.Count, 10)
	if i.AtMost {
		n = "at most " + n
	}
	switch i.Kind {
	case StreamBack:
		return fmt.Sprintf("stream %s went back: messages %d to %d (%s) are gone from it, at least %d of them settled before%s; those who sent them should send them again",
			i.About, i.From, i.To, n, i.Settled, i.since())
	case LedgerBack:
		return fmt.Sprintf("ledger %s went back: changes %d to %d (%s) are gone from it; for a while nothing is concluded from what it lacks, and what analysts removed in that time may come back", i.About, i.From, i.To, n)
	case StreamAnew:
		return fmt.Sprintf("stream %s was made anew: the one before had reached message %d, at least %d of its messages were settled; those who sent the rest should send it again", i.About, i.To, i.Settled)
	case LedgerAnew:
		return fmt.Sprintf("ledger %s was made anew: the one before had reached change %d; what analysts removed until then may come back", i.About, i.To)
	case MirrorLags:
		return fmt.Sprintf("stream %s is a mirror and %s messages behind: they are in no case until it has them", i.About, n)
	case ConsumerOff:
		return fmt.Sprintf("the consumer's position lies %s messages behind the end of stream %s: what is stored until then would be passed over; make the consumer anew from message %d", n, i.About, i.From)
	case unknownKind:
	}
	return fmt.Sprintf("%s %s: %d to %d (%s)", i.Kind, i.About, i.From, i.To, n)
}

func (i Incident) since() string {
	if i.Since.IsZero() {
		return ""
	}
	return ", stored after " + i.Since.UTC().Format(time.RFC3339)
}

// same tells whether two sights are of one incident: replicas look at different moments.
func (i Incident) same(o Incident) bool {
	apart := i.Noticed.Sub(o.Noticed).Abs()
	return i.Kind == o.Kind && i.About == o.About && apart < sameWithin && (i.From == o.From || i.AtMost || o.AtMost)
}

// sameWithin is how far apart two sights of one incident may be.
const sameWithin = time.Minute

// join makes one of two sights.
func (i Incident) join(o Incident) Incident {
	if i.AtMost && !o.AtMost {
		i.From, i.AtMost = o.From, false
	}
	i.To, i.Settled = max(i.To, o.To), max(i.Settled, o.Settled)
	if i.From > 0 && i.To >= i.From {
		i.Count = i.To - i.From + 1
	}
	return i
}

// add puts an incident among others, and tells whether it is new.
func add(all []Incident, one Incident) ([]Incident, bool) {
	for n := range all {
		if all[n].same(one) {
			all[n] = all[n].join(one)
			return all, false
		}
	}
	return append(all, one), true
}

// young keeps the newest incidents, oldest first.
func young(all []Incident, now time.Time) []Incident {
	all = slices.DeleteFunc(slices.Clone(all), func(i Incident) bool { return now.Sub(i.Noticed) > keepFor })
	slices.SortStableFunc(all, func(a, b Incident) int { return a.Noticed.Compare(b.Noticed) })
	return all[max(0, len(all)-mostKept):]
}

// Bounds of what is kept of incidents.
const (
	keepFor  = 7 * 24 * time.Hour
	mostKept = 16
)

// further is the end that reaches further, of one stream; of two streams the newer one's.
func further(a, b End) End {
	if c := cmp.Or(a.Made.Compare(b.Made), cmp.Compare(a.Last, b.Last)); c < 0 {
		return b
	}
	return a
}

// verdict is what follows from two ends.
type verdict int

const (
	fine    verdict = iota
	anew            // another stream
	back            // messages are gone, and none was stored since
	regrown         // or may be, and sequences may have been used again: the messages must be looked at
)

// judge compares what is known of a stream with where it ends now.
func judge(known, now End) verdict {
	switch {
	case known.Made.IsZero() || now.Made.IsZero():
		return fine
	case !known.Made.Equal(now.Made):
		return anew
	case now.Last < known.Last && !now.Stored.After(known.Stored):
		return back
	case now.Stored.After(known.Stored):
		return regrown
	default:
		return fine
	}
}
