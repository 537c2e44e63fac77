package draft

import (
	"fmt"
	"io/fs"
	"strings"
	"testing"
	"testing/fstest"
	"slices"

	"forager/enrich/detection"
	"forager/enrich/detection/canon"
)

func where(ev []detection.Leaf, v string) string {
	var out []string
	for _, l := range ev {
		if strings.Contains(strings.ToLower(l.Text), strings.ToLower(v)) && v != "" {
			out = append(out, fmt.Sprintf("%s=%.60q", l.Path, l.Text))
		}
	}
	return strings.Join(out[:min(5, len(out))], " ")
}

func TestZZ(t *testing.T) {
	plain, _ := detection.New(detection.Options{})
	for _, name := range plain.Formats() {
		bodies, events := samples(t, plain, name)
		if len(events) == 0 {
			continue
		}
		text := Of("drafted", events)
		files := fstest.MapFS{"drafted.yaml": &fstest.MapFile{Data: []byte(text)}}
		drafted, err := detection.New(detection.Options{Formats: []fs.FS{files}, Pins: []detection.Pin{{Subject: ">", Format: "drafted"}}})
		must(t, err)
		for i, body := range bodies {
			want, _ := plain.Decode(detection.Message{Subject: "x", Body: body, Time: now})
			w := want.Detections[0]
			got, err := drafted.Decode(detection.Message{Subject: "x", Body: body, Time: now})
			if err != nil || len(got.Detections) == 0 {
				fmt.Printf("%s#%d NOTHING %v\n", name, i, err)
				continue
			}
			g := got.Detections[0]
			if !g.Time.Equal(w.Time) {
				fmt.Printf("%s#%d TIME want %s got %s\n", name, i, w.Time, g.Time)
			}
			if g.Severity != w.Severity {
				sv := ""
				for _, l := range strings.Split(text, "\n") {
					if strings.Contains(l, "bands") || strings.HasPrefix(l, "  - {path: ") && !strings.Contains(l,"[") || strings.Contains(l, "no severity") {
						sv += l + ";"
					}
				}
				var cand []string
				for _, l := range events[i] {
					p := strings.ToLower(l.Path)
					if strings.Contains(p, "sev") || strings.Contains(p, "prio") || strings.Contains(p, "risk") || strings.Contains(p, "level") || strings.Contains(p, "score") || strings.Contains(p, "confid")|| strings.Contains(p, "urgen") {
						cand = append(cand, l.Path+"="+fmt.Sprintf("%.20s", l.Text))
					}
				}
				fmt.Printf("%s#%d SEV want %d got %d: %s :: %v\n", name, i, w.Severity, g.Severity, sv, cand)
			}
			if w.Host != "" && canon.FoldHost(g.Host, false) != canon.FoldHost(w.Host, false) {
				hl := ""
				for _, l := range strings.Split(text, "\n") {
					if strings.HasPrefix(l, "host:") {
						hl = l
					}
				}
				fmt.Printf("%s#%d HOST want %s got %s %s:: %s\n", name, i, w.Host, g.Host, hl, where(events[i], w.Host))
			}
			for _, o := range w.Observables {
				if !slices.ContainsFunc(g.Observables, func(x detection.Observable) bool { return x.Data == o.Data }) {
					fmt.Printf("%s#%d OBS %s %s %v:: %s\n", name, i, o.DataType, o.Data, o.Tags, where(events[i], o.Data))
				}
			}
		}
	}
}
