package apply

import (
	"regexp"
	"slices"
	"strings"
	"time"

	"forager/enrich"
)

// A marker is the code span by which Forager finds its own comments and descriptions again:
//
//	`forager: rule=<hash> day=<YYYY-MM-DD> ids=<id,id,…>`
//
// It stands alone on a line. Ids of a sender are escaped, so that none can end the span or pose
// as another id.
type marker struct {
	rule string
	day  string
	ids  []string
}

// maxIDs is how many source ids a marker names.
const maxIDs = 20

var markerLine = regexp.MustCompile("^`forager: rule=([0-9a-f]{32}) day=([0-9]{4}-[0-9]{2}-[0-9]{2}) ids=([^` ]*)`$")

func (m marker) String() string {
	return "`forager: rule=" + m.rule + " day=" + m.day + " ids=" + strings.Join(m.ids, ",") + "`"
}

// markersIn finds the markers of a text.
func markersIn(text string) []marker {
	var found []marker
	for line := range strings.Lines(text) {
		part := markerLine.FindStringSubmatch(strings.TrimRight(line, "\r\n"))
		if part == nil {
			continue
		}
		m := marker{rule: part[1], day: part[2]}
		if part[3] != "" {
			m.ids = strings.Split(part[3], ",")
		}
		found = append(found, m)
	}
	return found
}

var plainID = regexp.MustCompile(`^[A-Za-z0-9._:/@=+-]{1,64}$`)

// markerID is how a source id is written in a marker: as it is when it is harmless, else its hash.
func markerID(id string) string {
	if plainID.MatchString(id) {
		return id
	}
	return "sha256-" + enrich.ShortHash(id)
}

// markersOf names plans by rule and day, in order.
func markersOf(plans []enrich.Plan) []marker {
	var all []marker
	for _, p := range plans {
		i := slices.IndexFunc(all, func(m marker) bool { return m.rule == p.RuleHash && m.day == p.Day })
		if i < 0 {
			all = append(all, marker{rule: p.RuleHash, day: p.Day})
			i = len(all) - 1
		}
		if id := markerID(p.SourceID); len(all[i].ids) < maxIDs && !slices.Contains(all[i].ids, id) {
			all[i].ids = append(all[i].ids, id)
		}
	}
	return all
}

func (m marker) name() string { return m.rule + "/" + m.day }

// commentKey is the identity of a plan's comment: rule and UTC day.
func commentKey(p enrich.Plan) string { return p.RuleHash + "/" + p.Day }

func stamp(ms int64) string { return time.UnixMilli(ms).UTC().Format("2006-01-02 15:04:05.000 UTC") }
