package simulation

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"os"
	"path/filepath"
	"time"

	"forager/cmd/worker/rulefiles"
	"forager/cmd/worker/service"
	"forager/hive"
	"forager/hive/hivetest"
	"forager/pipeline/replay"
)

// forwarded is a message as its sender has it.
type forwarded struct {
	body     []byte
	sequence uint64
}

// restrict closes a case to all but the analyst, and opens it again. Who does not see it opens another, which says which one it
// follows; so the judge takes both for right, and still wants every detection in one of them.
func (p *play) restrict(ctx context.Context, e event, one hivetest.Case) error {
	id := fmt.Sprint(one.Number)
	p.tell("%s: case %s", e, id)
	p.book.now(e.Who).open = true
	if err := p.analyst.SetAccess(ctx, id, hive.Access{Users: []string{"analyst@thehive.local"}}); err != nil {
		return err
	}
	p.after(e.For, func() error {
		return p.quietly(func() error { return p.analyst.SetAccess(ctx, id, hive.Access{}) })
	})
	return nil
}

// replay carries all of the shift again, beside the replicas; the shift comes to rest when it has ended.
func (p *play) replay(ctx context.Context, e event) error {
	p.tell("%s", e)
	r := &replica{world: p.world, number: len(p.replicas)}
	files := rulefiles.NewWitness()
	c, err := r.load(files)
	if err != nil {
		return err
	}
	nats, toHive := newWires(p.carrier, p.toNATS), newWires(p.carrier, p.entrance.reach)
	nats.shy = true
	site, err := service.Network{NATS: nats.dialNATS, Hive: toHive.dial}.ReplaySite(ctx, c, files, p.log.logger("replay"))
	if err != nil {
		return err
	}
	since := p.begun
	p.beside.Go(func() {
		defer site.Close()
		if err := p.replaySince(ctx, site, since); err != nil {
			p.failed.Store(&err)
		}
	})
	return nil
}

func (p *play) replaySince(ctx context.Context, site *service.ReplaySite, since time.Time) error {
	if err := site.Start(ctx); err != nil {
		return err
	}
	what := replay.Options{Since: since, Again: true, Live: math.MaxUint64}
	for try := 0; ; try++ {
		one, err := replay.Open(ctx, site.Link, site.Options, what, site.Rules, site.Rules, site.Applier)
		if err == nil {
			_, err = one.Run(ctx)
		}
		if err == nil || try == 10 {
			return err
		}
		what.Again = false
		<-time.After(30 * time.Second) // an operator tries again
	}
}

// stores are where NATS keeps what may go back.
var stores = map[int][]string{0: {streamStore}, 1: {bucketStore}, 2: {streamStore, bucketStore}}

const (
	streamStore = "jetstream/$G/streams/" + streamName + "/msgs"
	bucketStore = "jetstream/$G/streams/KV_FORAGER_LEDGER/msgs"
)

// back lets NATS go back: first its store is copied, later the copy is put back.
func (p *play) back(ctx context.Context, e event) error {
	p.tell("%s", e)
	if e.Kind == saves {
		of, err := p.link.JetStream().Stream(ctx, streamName)
		if err != nil {
			return err
		}
		p.cut, p.since, p.saved = of.CachedInfo().State.LastSeq, nil, filepath.Join(p.dir, fmt.Sprint("saved", len(p.told)))
		return p.reboot(e.For, func(dir string) error { return os.CopyFS(p.saved, os.DirFS(dir)) })
	}
	if p.saved == "" {
		return nil
	}
	if err := p.reboot(e.For, func(dir string) error { return p.putBack(dir, e.What) }); err != nil {
		return err
	}
	if e.What != 0 {
		p.book.loosen() // what the ledger alone knew is gone
	}
	lost, heard, cut := p.since, p.said(), p.cut
	p.since, p.saved = nil, ""
	if e.What == 1 {
		lost = nil
	}
	p.after(namedWithin, func() error {
		p.judgeNamed(e, heard, cut, lost)
		return p.forwardAgain(ctx, lost)
	})
	return nil
}

func (p *play) putBack(dir string, what int) error {
	for _, part := range stores[what] {
		if err := os.RemoveAll(filepath.Join(dir, part)); err != nil {
			return err
		}
		if err := os.CopyFS(filepath.Join(dir, part), os.DirFS(filepath.Join(p.saved, part))); err != nil {
			return err
		}
	}
	return nil
}

// namedWithin is how soon a rollback is told of once the server is back: ten seconds, and what the clients take to connect.
const namedWithin = 15 * time.Second

// judgeNamed: some replica has told what is gone, with the range and no other.
func (p *play) judgeNamed(e event, heard int, cut uint64, lost []forwarded) {
	want := map[string]bool{}
	if e.What != 1 && len(lost) > 0 {
		want[fmt.Sprintf("stream went back %d-%d", cut+1, lost[len(lost)-1].sequence)] = true
	}
	if e.What != 0 {
		want["ledger went back"] = true
	}
	for _, line := range p.saidSince(heard) {
		var told struct {
			Kind     string `json:"kind"`
			From, To uint64
		}
		if json.Unmarshal([]byte(line), &told) != nil {
			continue
		}
		switch told.Kind {
		case "ledger went back":
			delete(want, told.Kind)
		case "stream went back":
			is := fmt.Sprintf("%s %d-%d", told.Kind, told.From, told.To)
			if delete(want, is); e.What == 1 || told.From != cut+1 {
				p.found("%s: it is told that %s, of messages that ended with %d", e, is, cut)
			}
		}
	}
	for w := range want {
		p.found("%s: nobody tells that the %s", e, w)
	}
}

// forwardAgain is what those who sent the messages do.
func (p *play) forwardAgain(ctx context.Context, lost []forwarded) error {
	for _, m := range lost {
		if p.garbled[string(m.body)] > 0 {
			p.garbled[string(m.body)]++
		}
		if _, err := p.publish(ctx, m.body); err != nil {
			return err
		}
	}
	return nil
}

func (p *play) said() int {
	p.log.mu.Lock()
	defer p.log.mu.Unlock()
	return len(p.log.lines)
}

func (p *play) saidSince(n int) []string {
	p.log.mu.Lock()
	defer p.log.mu.Unlock()
	return p.log.lines[n:len(p.log.lines):len(p.log.lines)]
}

// loosen forgets what the ledger alone may have known: what analysts took away may come back, and what Cortex was still to be asked for is
// not asked for.
func (b *book) loosen() {
	for _, all := range b.spans {
		for _, s := range all {
			r := s.root()
			r.open = r.open || r.deleted
			maps.Copy(r.free, r.taken)
			r.forgot = true
		}
	}
}
