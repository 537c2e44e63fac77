package feedback

import (
	"context"
	"errors"
	"time"

	"go.uber.org/zap"

	told "forager/enrich/feedback"
	"forager/pipeline/feedback"
	"forager/retry"
)

// source is whose alerts are given a status: *Elastic.
type source interface {
	setting(m told.Message) setting
	// set gives alerts a status. errRefused: it never will; any other error may pass.
	set(ctx context.Context, ids []string, to setting) (updated int, err error)
}

// inbox is where messages are taken: *feedback.Reader of pipeline.
type inbox interface {
	Open(ctx context.Context) error
	Take(ctx context.Context) (feedback.Received, int, error)
}

// loop works messages until its context ends, or with once until nothing waits.
type loop struct {
	inbox  inbox
	source source
	once   bool
	log    *zap.Logger
}

// run works. Error: with once, what stands in the way; without, none.
func (l loop) run(ctx context.Context) error {
	pauses := retry.Backoff{First: 250 * time.Millisecond, Last: 30 * time.Second}.Pauses()
	for {
		err := l.bound(ctx, pauses.Reset)
		if ctx.Err() != nil || err == nil || l.once {
			return err
		}
		l.log.Warn("cannot read what the source is told; it is tried again", zap.Error(err))
		if !pauses.Wait(ctx) {
			return nil
		}
	}
}

// bound opens the inbox and works what comes, until it must be opened again; nil with once, when nothing waits.
func (l loop) bound(ctx context.Context, well func()) error {
	if err := l.inbox.Open(ctx); err != nil {
		return err
	}
	for ctx.Err() == nil {
		got, unreadable, err := l.inbox.Take(ctx)
		if err != nil {
			return err
		}
		if unreadable > 0 {
			l.log.Warn("messages that are no feedback are given up", zap.Int("messages", unreadable))
		}
		if len(got.Messages) == 0 && unreadable == 0 && l.once {
			return nil
		}
		well()
		if err := l.work(ctx, got); err != nil {
			return err
		}
	}
	return nil
}

// work works what was taken together.
func (l loop) work(ctx context.Context, got feedback.Received) error {
	for _, g := range grouped(got.Messages, l.source.setting) {
		if err := l.until(ctx, got, g); err != nil {
			return err
		}
	}
	return got.Done(ctx)
}

// group are alerts that are given one status.
type group struct {
	to  setting
	ids []string
}

// grouped parts messages, in their order, where the status changes.
func grouped(all []told.Message, setting func(told.Message) setting) (groups []group) {
	for _, m := range all {
		to := setting(m)
		if n := len(groups); n == 0 || groups[n-1].to != to {
			groups = append(groups, group{to: to})
		}
		last := &groups[len(groups)-1]
		last.ids = append(last.ids, m.Alert.ID)
	}
	return groups
}

// saidEvery is how often it is said that a source takes nothing.
const saidEvery = 5 * time.Minute

// until gives a group its status, however long the source is away; what is taken does not come again meanwhile.
func (l loop) until(ctx context.Context, got feedback.Received, g group) error {
	pauses := retry.Backoff{First: time.Second, Last: feedback.AckWait / 4}.Pauses()
	for said := (time.Time{}); ; {
		got.Working()
		updated, err := l.source.set(ctx, g.ids, g.to)
		switch {
		case err == nil:
			l.log.Info("alerts have their status", zap.String("status", g.to.status), zap.Int("alerts", len(g.ids)), zap.Int("updated", updated))
			return nil
		case errors.Is(err, errRefused) && len(g.ids) > 1: // one of them, perhaps
			half := len(g.ids) / 2
			if err := l.until(ctx, got, group{g.to, g.ids[:half]}); err != nil {
				return err
			}
			return l.until(ctx, got, group{g.to, g.ids[half:]})
		case errors.Is(err, errRefused):
			l.log.Error("alerts keep their status", zap.String("status", g.to.status), zap.Strings("alerts", g.ids), zap.Error(err))
			return nil
		case l.once:
			return err
		case time.Since(said) >= saidEvery:
			said = time.Now()
			l.log.Warn("the source takes no status; it is tried again until it does", zap.Int("alerts", len(g.ids)), zap.Error(err))
		}
		if !pauses.Wait(ctx) {
			return ctx.Err()
		}
	}
}
