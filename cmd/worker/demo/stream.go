package demo

import (
	"context"
	"fmt"
	"math/rand/v2"
	"regexp"
	"strings"
	"time"

	"forager/cmd/worker/shell"
)

// gentle is the pause between two events of the stream that goes on while the page stays up.
const gentle = 700 * time.Millisecond

// sampleDay is the day of the samples' events.
const sampleDay = "2026-03-02"

// numbered are the hosts of the samples whose number says which it is.
var numbered = regexp.MustCompile(`\b(web|db|ws-|srv|dc|mail|host|app)(\d{2,4})\b`)

// goOn sends the samples again and again, as events of today and of other hosts, and in between what goes wrong in
// earnest, unless it is to be calm.
func (s *stage) goOn(ctx context.Context, sh *shell.Shell, how *demoCmd) {
	var bodies []string
	for e, err := range (&demoCmd{}).events(s.decoder) {
		if err == nil {
			bodies = append(bodies, string(e.Body))
		}
	}
	var mishaps []mishap
	if !how.Calm {
		mishaps = s.mishaps(ctx, sh)
	}
	for n := 0; ctx.Err() == nil; n++ {
		s.send(ctx, asOfToday(bodies[rand.N(len(bodies))], rand.N(30)))
		for _, m := range mishaps {
			if n%mishapsEvery == m.at {
				sh.Say("%s", m.says)
				m.happens(ctx)
			}
		}
		s.pause(ctx, gentle)
	}
}

// send publishes an event and waits until it is stored; what fails is sent no more.
func (s *stage) send(ctx context.Context, body string) {
	if confirm, err := s.forward.Send("demo.events", []byte(body)); err == nil {
		_, _ = confirm(ctx) // the demonstration goes on
	}
}

// wait is a pause that ends early with ctx.
func wait(ctx context.Context, long time.Duration) {
	over := time.NewTimer(long)
	defer over.Stop()
	select {
	case <-over.C:
	case <-ctx.Done():
	}
}

// asOfToday is an event of a sample as it would come today, of the host of another number.
func asOfToday(body string, by int) string {
	body = strings.ReplaceAll(body, sampleDay, time.Now().UTC().Format(time.DateOnly))
	return numbered.ReplaceAllStringFunc(body, func(host string) string {
		m := numbered.FindStringSubmatch(host)
		return fmt.Sprintf("%s%0*d", m[1], len(m[2]), by)
	})
}
