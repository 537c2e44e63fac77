package page

import (
	"strconv"
	"strings"
	"time"

	g "maragu.dev/gomponents"
)

// letters shows the dead letters by what they died of, and the command that sends them again.
func letters(l Letters, now time.Time) g.Node {
	switch {
	case l.Trouble != "":
		return trouble("Dead letters", l.Trouble)
	case !l.Known:
		return empty("Not looked at yet.")
	case l.Waiting == 0:
		return empty("None waits: whatever could not become part of a case would be here.")
	}
	return g.Group{
		el("p", say(thousands(l.Waiting)+" in all. "), when(!l.Whole, say("The first of them are grouped here. ")), el("code", say("worker dlq ls --all")), say(" lists them, "), el("code", say("worker dlq show N")), say(" says what was refused. Mend that, then send them again.")),
		table("Dead letters by reason", []string{"Letters", "Reason", "Step", "Answer", "Age", "Requeue"}, body(g.Map(l.Groups, func(x Group) g.Node {
			answer := ""
			if x.Status != 0 {
				answer = strconv.Itoa(x.Status)
			}
			return row(
				cell("Letters", say(thousands(x.Count))), cell("Reason", say(x.Reason)), cell("Step", say(x.Step)), cell("Answer", say(answer)),
				cell("Age", say(age(x, now))), cell("Requeue", el("code", say("worker dlq requeue --reason "+quoted(x.Reason)))),
			)
		}))),
	}
}

func age(x Group, now time.Time) string {
	if x.Newest.Equal(x.Oldest) {
		return ago(now.Sub(x.Newest))
	}
	return ago(now.Sub(x.Newest)) + " to " + ago(now.Sub(x.Oldest))
}

// quoted is a text as a shell reads it: one word, nothing in it acts.
func quoted(text string) string { return "'" + strings.ReplaceAll(text, "'", `'\''`) + "'" }
