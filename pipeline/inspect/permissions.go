package inspect

import (
	"cmp"
	"context"
	"strconv"

	"github.com/nats-io/nats.go"

	"forager/pipeline/deadletter"
	"forager/pipeline/journal"
	"forager/pipeline/stream"
)

// permission is a line of deploy/nats/permissions.conf and a message that tries it without effect.
type permission struct {
	line    string // what is to be allowed
	subject string // what is published; the line itself when empty
	body    string
	header  nats.Header
	level   Level  // without it
	why     string // what does not work without it
	block   string // of permissions.conf
}

// Bodies and headers with which a request cannot take effect.
const (
	malformed = "{"             // no JSON: refused before anything is looked at; so is a deletion with any body
	progress  = "+WPI"          // keeps a message that was delivered from coming again; of sequence 0 there is none
	nobodys   = "forager-check" // the name of no stream, consumer or entry
)

// misdirected makes a stream refuse a message: it is meant for another stream.
func misdirected() nats.Header { return nats.Header{"Nats-Expected-Stream": {nobodys}} }

// permissions tries all that a worker publishes to. It is false when there is no point in going on.
func (i *inspection) permissions(ctx context.Context) bool {
	all := i.needed()
	lines, missing := map[string]bool{}, 0
	for _, p := range all {
		lines[p.line] = true
		bounded, cancel := i.bounded(ctx)
		err := i.publishes(bounded, cmp.Or(p.subject, p.line), p.body, p.header)
		cancel()
		if err == nil {
			continue
		}
		if _, refused := stream.Violation(err); !refused {
			i.add(LevelBroken, "NATS", "the connection was lost: "+stream.OneLine(err.Error()), "nothing more could be seen", "look at the server's log, and run check again")
			return false
		}
		missing++
		if i.denied[p.line] {
			continue
		}
		i.denied[p.line] = true
		i.found = append(i.found, Finding{
			Server: ServerNATS, Level: p.level, About: "permissions", What: "not allowed to publish to " + p.line, Why: p.why, Line: p.line,
			Remedy: "allow it to the user: a line of " + p.block + " in deploy/nats/permissions.conf",
		})
	}
	if missing == 0 {
		i.add(LevelOK, "permissions", "all "+strconv.Itoa(len(lines))+" that a worker of this configuration needs are there", "", "")
	}
	return true
}

// needed are the permissions of the worker's configuration.
func (i *inspection) needed() []permission {
	all := i.toConsume("FORAGER_BIND", i.expected.Stream, i.expected.Consumer)
	all = append(all, i.toStoreDead()...)
	all = append(all, i.toClaim()...)
	all = append(all, i.toHold()...)
	all = append(all, permission{
		line: i.api("STREAM.MSG.GET." + i.expected.Stream), body: malformed, level: LevelNote, block: "FORAGER_ROLLBACK",
		why: "where the stream went back and its sequences were used again before anybody looked, nobody notices",
	})
	if i.expected.Manage {
		all = append(all, i.toManage()...)
	}
	if i.expected.Audit != nil {
		all = append(all, i.toAudit()...)
	}
	if i.expected.Journal != "" {
		all = append(all, i.toJournal()...)
	}
	if i.expected.Feedback != nil {
		all = append(all, i.toTell()...)
	}
	return all
}

// toJournal is what a line of every settlement needs.
func (i *inspection) toJournal() []permission {
	all := []permission{{
		line: journal.SubjectPrefix + i.expected.Stream + ".>", subject: journal.Subject(i.expected.Stream, 0), header: misdirected(), level: LevelBroken,
		why: "no line can be written, and nothing is settled without one", block: "FORAGER_JOURNAL",
	}}
	if !i.expected.Manage {
		return all
	}
	const block, why = "FORAGER_JOURNAL_MANAGE", "the journal cannot be made"
	return append(all,
		permission{line: i.api("STREAM.INFO." + i.expected.Journal), body: malformed, level: LevelBroken, why: why, block: block},
		permission{line: i.api("STREAM.CREATE." + i.expected.Journal), body: malformed, level: LevelBroken, why: why, block: block},
	)
}

// toConsume is what a durable consumer needs.
func (i *inspection) toConsume(block, stream, consumer string) []permission {
	path := stream + "." + consumer
	const zeros = "1.0.0.0.0" // delivered once, no sequence
	return []permission{
		{line: i.api("CONSUMER.INFO." + path), level: LevelBroken, why: "the consumer cannot be bound", block: block},
		{line: i.api("CONSUMER.MSG.NEXT." + path), body: malformed, level: LevelBroken, why: "nothing can be pulled", block: block},
		{
			line: "$JS.ACK." + path + ".>", subject: "$JS.ACK." + path + "." + zeros, body: progress, level: LevelBroken,
			why: "acknowledgements are lost in silence: every message comes again for ever", block: block,
		},
		{
			line: "$JS.ACK.*.*." + path + ".>", subject: "$JS.ACK._." + nobodys + "." + path + "." + zeros + ".check", body: progress, level: LevelHurts,
			why: "acknowledgements will be lost once the server uses the newer form of their subjects (js_ack_fc_v2)", block: block,
		},
	}
}

// toStoreDead is what dead letters need, and the look at the stream.
func (i *inspection) toStoreDead() []permission {
	const block = "FORAGER_BIND"
	o := i.expected
	letters := stream.DeadLetterPrefix + o.Stream + ".>"
	return []permission{
		{line: i.api("STREAM.INFO." + o.Stream), level: LevelHurts, why: "the lag is not measured, and nobody sees what the stream dropped before it was worked", block: block},
		{
			line: letters, subject: deadletter.Subject(o.Stream, 0), header: misdirected(), level: LevelBroken,
			why: "nothing can become a dead letter: the first one closes the gate", block: block,
		},
		{line: i.api("STREAM.INFO." + o.DeadLetters), level: LevelHurts, why: "a dead letter that lies there already is not recognised: its message is tried for ever", block: block},
		{
			line: i.api("DIRECT.GET." + o.DeadLetters + "." + letters), subject: i.api("DIRECT.GET." + o.DeadLetters + "." + deadletter.Subject(o.Stream, 0)), level: LevelHurts,
			why: "a dead letter that lies there already is not recognised: its message is tried for ever", block: block,
		},
	}
}

// toClaim is what the ledger needs.
func (i *inspection) toClaim() []permission {
	const block = "FORAGER_BIND"
	bucket := i.expected.Bucket
	stream, keys := "KV_"+bucket, "$KV."+bucket+"."
	prefix := i.link.Prefix() // of subjects in another domain
	all := []permission{
		{line: i.api("STREAM.INFO." + stream), level: LevelBroken, why: "the ledger cannot be bound", block: block},
		{
			line: i.api("DIRECT.GET." + stream + "." + keys + ">"), subject: i.api("DIRECT.GET." + stream + "." + keys + "key." + nobodys), level: LevelBroken,
			why: "the ledger cannot be read", block: block,
		},
		{
			line: i.api("CONSUMER.CREATE." + stream + ".>"), subject: i.api("CONSUMER.CREATE." + stream + "." + nobodys + "." + keys + ">"), body: malformed, level: LevelHurts,
			why: "nothing is heard of other workers: what a killed one held is taken over later; and entries of cases that are over are never purged", block: block,
		},
		{
			line: "$JS.FC." + stream + ".>", subject: "$JS.FC." + stream + "." + nobodys + ".check", level: LevelHurts,
			why: "after a while nothing more is heard of other workers: what a killed one held is taken over later", block: block,
		},
		{
			line: "$JS.FC.*.*." + stream + ".>", subject: "$JS.FC._." + nobodys + "." + stream + "." + nobodys + ".check", level: LevelHurts,
			why: "the same, once the server uses the newer form of these subjects (js_ack_fc_v2)", block: block,
		},
		{
			line: i.api("CONSUMER.DELETE." + stream + ".>"), subject: i.api("CONSUMER.DELETE." + stream + "." + nobodys), body: malformed, level: LevelHurts,
			why: "consumers that list the ledger's keys stay until the server forgets them", block: block,
		},
	}
	for _, kind := range []string{"key.", "case.", "marks.", "session."} {
		all = append(all, permission{
			line: prefix + keys + ">", subject: prefix + keys + kind + nobodys, header: misdirected(), level: LevelBroken,
			why: "no claim can be taken: no case is ever written (entries " + kind + "*)", block: block,
		})
	}
	return all
}

// toManage is what making everything needs.
func (i *inspection) toManage() []permission {
	const block, why = "FORAGER_MANAGE", "nats.manage is on, and it cannot be made where it is missing"
	o := i.expected
	all := []permission{{line: i.api("INFO"), level: LevelHurts, why: why, block: block}}
	for _, stream := range []string{o.Stream, o.DeadLetters, "KV_" + o.Bucket} {
		all = append(all, permission{line: i.api("STREAM.CREATE." + stream), body: malformed, level: LevelHurts, why: why, block: block})
	}
	return append(all, i.toCreate(block, why, o.Stream, o.Consumer, o.Subjects))
}

// toCreate is what making a consumer needs: with one subject, it is part of the request's.
func (i *inspection) toCreate(block, why, stream, consumer string, subjects []string) permission {
	line := i.api("CONSUMER.CREATE." + stream + "." + consumer)
	p := permission{line: line, body: malformed, level: LevelHurts, why: why, block: block}
	if len(subjects) == 1 {
		p.line, p.subject = line+".>", line+"."+subjects[0]
	}
	return p
}

// toAudit is what the webhook's intake needs.
func (i *inspection) toAudit() []permission {
	const block = "FORAGER_AUDIT"
	a := i.expected.Audit
	all := i.toConsume(block, a.Stream, a.Consumer)
	all = append(all, permission{
		line: a.Subject(), header: misdirected(), level: LevelHurts,
		why: "what TheHive's webhook tells cannot be stored: it is answered with 503", block: block,
	})
	for n := range all {
		all[n].level = LevelHurts // the ledger is right without it, only later
	}
	if a.Manage {
		const why = "nats.manage is on, and the webhook's stream cannot be made where it is missing"
		for _, line := range []string{"STREAM.INFO." + a.Stream, "STREAM.CREATE." + a.Stream} {
			all = append(all, permission{line: i.api(line), body: malformed, level: LevelHurts, why: why, block: block + "_MANAGE"})
		}
		all = append(all, i.toCreate(block+"_MANAGE", why, a.Stream, a.Consumer, nil))
	}
	return all
}
