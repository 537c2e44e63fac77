package detection

import (
	"cmp"
	"maps"
	"slices"

	"forager/enrich/detection/canon"
	"forager/enrich/detection/tree"
)

// keyOfLast is what to correlate by where no host, user or address is named: what the format says,
// else the rule.
func (e *event) keyOfLast() string {
	if e.format.OwnKey {
		return ""
	}
	return e.format.Keyed(cmp.Or(e.line("lastKey", e.format.LastKey, e.limits.Text), e.det.Rule.ID, e.det.Rule.Name, e.det.Title))
}

// namesSomebody tells whether a detection has a key, or a host, user or address to be correlated by.
func (d *Detection) namesSomebody() bool {
	if canon.FoldKey(d.Key) != "" || canon.FoldHost(d.Host, true) != "" || canon.FoldIP(d.IP) != "" {
		return true
	}
	user, machine := canon.FoldUser(d.User)
	return user != "" || machine != ""
}

// splitting reads an event once for each host that its rows tell of, with the rows of this host
// alone; rows without a host belong to the first. An event without such rows is read as it is.
func (r *reading) splitting(p part, read func(part) error) error {
	rows := r.rows(&p)
	if rows == 0 {
		return read(p)
	}
	hosts, groups := r.rowsByHost(&p, rows)
	if len(hosts) < 2 {
		return read(p)
	}
	whole := r.Nodes[rows]
	var all []int32
	for c := whole.First; c != 0; c = r.Nodes[c].Next {
		all = append(all, c)
	}
	defer func() {
		r.link(rows, all)
		r.Nodes[rows].Count = whole.Count
	}()
	for i, host := range hosts {
		r.link(rows, groups[i])
		one := p
		one.host, one.nth = host, i
		if err := read(one); err != nil {
			return err
		}
	}
	return nil
}

// rows is the array of the event that the format splits by; 0 is none.
func (r *reading) rows(p *part) (found int32) {
	if !p.format.Split.Each.IsSet() {
		return 0
	}
	r.Under(p.root, p.format.Split.Each.Steps, false, func(n int32) bool {
		if r.Nodes[n].Kind == tree.List && r.Nodes[n].Count > 1 {
			found = n
		}
		return found == 0
	})
	return found
}

// rowsByHost groups the values of an array, hosts in the order of their first row.
func (r *reading) rowsByHost(p *part, rows int32) (hosts []string, groups [][]int32) {
	e := event{reading: r, format: p.format, part: *p}
	known := hostSet{}
	for c := r.Nodes[rows].First; c != 0; c = r.Nodes[c].Next {
		host := ""
		for i := range p.format.Split.By {
			if host = canon.FoldHost(e.below(c, &p.format.Split.By[i]), true); host != "" {
				break
			}
		}
		i, found := known.find(host)
		switch {
		case found:
		case host == "":
			if len(groups) == 0 {
				hosts, groups = append(hosts, ""), append(groups, nil)
			}
		case len(hosts) == 1 && hosts[0] == "":
			hosts[0] = host
			known.add(host, 0)
		default:
			i = len(hosts)
			known.add(host, i)
			hosts, groups = append(hosts, host), append(groups, nil)
		}
		groups[i] = append(groups[i], c)
	}
	return hosts, groups
}

// hostSet finds hosts that an event named before: by the same name, or by the first label where one
// of the two has no other.
type hostSet struct {
	exact, label map[string]int
}

func (s *hostSet) add(host string, i int) {
	if s.exact == nil {
		s.exact, s.label = map[string]int{}, map[string]int{}
	}
	s.exact[host] = i
	if first := canon.FoldHost(host, false); first != host {
		s.label[first] = i
	}
}

func (s *hostSet) find(host string) (i int, found bool) {
	if host == "" {
		return 0, false
	}
	if i, found = s.exact[host]; found {
		return i, true
	}
	first := canon.FoldHost(host, false)
	if first == host {
		i, found = s.label[host]
	} else {
		i, found = s.exact[first]
	}
	return i, found
}

// link makes these values, and no others, those of an array.
func (r *reading) link(array int32, values []int32) {
	r.Nodes[array].First, r.Nodes[array].Count = 0, int32(len(values)) // a part of an array that was read
	for _, c := range slices.Backward(values) {
		r.Nodes[c].Next = r.Nodes[array].First
		r.Nodes[array].First = c
	}
}

// perHost is a detection for each host of the list that the event names its hosts in.
func (e *event) perHost(det Detection) []Detection {
	all := []Detection{det}
	var known hostSet
	known.add(canon.FoldHost(det.Host, true), 0)
	for i := range e.format.Split.Of {
		e.scalars(&e.format.Split.Of[i], func(s string) bool {
			for one := range canon.ValuesIn("host", s) {
				host := canon.FoldHost(one, true)
				if _, found := known.find(host); host == "" || found || len(all) > e.limits.Detections {
					continue
				}
				known.add(host, len(all))
				other := det
				other.Host, other.ID = canon.Line(one, e.limits.Text), det.ID+"/"+host
				other.Tags, other.Observables, other.Techniques = slices.Clone(det.Tags), slices.Clone(det.Observables), slices.Clone(det.Techniques)
				other.Files, other.Marks, other.Why = slices.Clone(det.Files), slices.Clone(det.Marks), slices.Clone(det.Why)
				other.LeftOut = maps.Clone(det.LeftOut)
				all = append(all, other)
			}
			return true
		})
	}
	return all
}
