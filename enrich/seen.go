package enrich

import (
	"strings"
	"time"

	"forager/enrich/detection"
)

// Seen is a detection as conditions, keys and texts see it: CEL's variable `detection`.
type Seen struct {
	Format      string           `cel:"format"`
	Subject     string           `cel:"subject"` // NATS subject that it came on
	ID          string           `cel:"id"`
	Time        time.Time        `cel:"time"`
	Severity    int              `cel:"severity"` // 1–4
	Title       string           `cel:"title"`
	Description string           `cel:"description"`
	Source      string           `cel:"source"`
	Rule        SeenRule         `cel:"rule"`
	Host        string           `cel:"host"`
	User        string           `cel:"user"`
	IP          string           `cel:"ip"`
	Key         string           `cel:"key"`
	Direction   string           `cel:"direction"`
	Tags        []string         `cel:"tags"`
	Techniques  []string         `cel:"techniques"` // ids, in the server's release
	Observables []SeenObservable `cel:"observables"`
}

// SeenRule is the rule that fired.
type SeenRule struct {
	ID   string `cel:"id"`
	Name string `cel:"name"`
}

// SeenObservable is one observable.
type SeenObservable struct {
	Type string   `cel:"type"`
	Data string   `cel:"data"`
	Tags []string `cel:"tags"`
	IOC  bool     `cel:"ioc"`
}

// see shows a detection and its mapped techniques.
func see(d detection.Detection, techniques []Technique, o Origin) Seen {
	s := Seen{
		Format: d.Format, Subject: o.Subject, ID: d.ID, Time: d.Time.UTC(), Severity: severityOf(d), Title: d.Title, Description: d.Description,
		Source: d.Source, Rule: SeenRule{d.Rule.ID, d.Rule.Name}, Host: d.Host, User: d.User, IP: d.IP, Key: d.Key,
		Direction: d.Direction, Tags: d.Tags,
	}
	for _, o := range d.Observables {
		s.Observables = append(s.Observables, SeenObservable{o.DataType, o.Data, o.Tags, o.IOC})
	}
	for _, t := range techniques {
		if t.ID != "" {
			s.Techniques = append(s.Techniques, t.ID)
		}
	}
	return s
}

// encodeWhole percent-encodes everything but letters, digits, "-", "_", "~" and ".": the result can
// be no more than one segment or one value of a URL. Of a text that is all dots nothing is left,
// since browsers take even an encoded ".." for a step up.
func encodeWhole(s string) string {
	const hex = "0123456789ABCDEF"
	if strings.Trim(s, ".") == "" {
		return ""
	}
	var b strings.Builder
	for i := range len(s) {
		c := s[i]
		switch {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c == '-', c == '_', c == '~', c == '.':
			b.WriteByte(c)
		default:
			b.WriteByte('%')
			b.WriteByte(hex[c>>4])
			b.WriteByte(hex[c&15])
		}
	}
	return b.String()
}
