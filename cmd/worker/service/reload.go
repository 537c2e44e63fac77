package service

import (
	"context"
	"os"
	"strings"
	"sync"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"forager/cmd/worker/rulefiles"
	"forager/config"
	"forager/pipeline"
)

// reloader puts new routes, silences, formats, allow-lists and a new log level in force without a restart: on
// SIGHUP, and when a file changed. Files are polled: a watch would have to follow every symbolic
// link that Kubernetes turns, and hears nothing from a network file system.
type reloader struct {
	live   *Live
	config *config.Config     // in force
	files  *rulefiles.Witness // what it was read from
	load   func(*rulefiles.Witness) (*config.Config, error)
	build  func(*config.Config, *rulefiles.Witness) (*reading, error)
	log    *zap.Logger
	level  zap.AtomicLevel // of the log

	mu      sync.Mutex
	trouble string // why the last reload failed; empty when it did not
}

// run reloads until ctx ends.
func (r *reloader) run(ctx context.Context, hangup <-chan os.Signal) {
	for {
		tick, stop := r.tick()
		select {
		case <-ctx.Done():
			stop()
			return
		case <-hangup:
			r.reload("signal")
		case <-tick:
			if r.files.Differs(r.files.Again()) {
				r.reload("file change")
			}
		}
		stop()
	}
}

// tick is when files are looked at next: never, when only a signal asks for it.
func (r *reloader) tick() (next <-chan time.Time, stop func()) {
	if r.config.Rules.Reload == 0 {
		return nil, func() {}
	}
	t := time.NewTimer(r.config.Rules.Reload)
	return t.C, func() { t.Stop() }
}

// reload reads everything anew. What cannot work leaves the old rules in force, and is said once
// for each change of the files.
func (r *reloader) reload(why string) {
	before, read := r.files.Again(), r.files.Anew()
	next, restart, err := r.read(read)
	if err != nil {
		read.Add(before) // what the broken files do not name any more may be mended, too
		r.files = read
		r.set(err.Error())
		r.live.notice(pipeline.NoticeReloadFailed)
		r.log.Error("reload failed: the old rules stay in force", zap.String("cause", why), zap.Error(err))
		return
	}
	r.files, r.config = read, next
	r.set("")
	r.live.notice(pipeline.NoticeReloaded)
	level, err := zapcore.ParseLevel(next.Log.Level)
	if err != nil {
		level = r.level.Level() // never: the configuration has checked the word
	}
	r.level.SetLevel(min(level, r.level.Level())) // of both the one by which more is told
	r.log.Info("reloaded", zap.String("cause", why), zap.Int("routes", len(next.Routes)), zap.Int("silences", len(next.Silences)), zap.Stringer("level", level))
	if len(restart) > 0 {
		r.log.Warn("some changes need a restart", zap.Strings("sections", restart))
	}
	r.level.SetLevel(level)
}

// read puts a new reading in force, if there is one.
func (r *reloader) read(w *rulefiles.Witness) (next *config.Config, restart []string, err error) {
	newer, err := r.load(w)
	if err != nil {
		return nil, nil, err
	}
	next, restart = r.config.WithRulesOf(newer)
	reading, err := r.build(next, w)
	if err != nil {
		return nil, nil, err
	}
	r.live.now.Store(reading)
	return next, restart, nil
}

func (r *reloader) set(trouble string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.trouble = trouble
}

// notes says why the files are not in force, for the answer to a probe. It is no reason not to be
// ready: the old rules work.
func (r *reloader) notes() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.trouble == "" {
		return nil
	}
	return []string{"reload failed, the old rules stay in force: " + strings.ReplaceAll(r.trouble, "\n", "; ")}
}
