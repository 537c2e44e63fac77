package detection

import "slices"

// merge adds what another mention of the same detection says. Texts stay, where there are some; the
// earlier time and the higher severity win.
func (d *Detection) merge(o Detection, l Limits) {
	for _, pair := range []struct{ mine, other *string }{
		{&d.Title, &o.Title}, {&d.Description, &o.Description}, {&d.Rule.ID, &o.Rule.ID}, {&d.Rule.Name, &o.Rule.Name},
		{&d.Host, &o.Host}, {&d.User, &o.User}, {&d.IP, &o.IP}, {&d.Key, &o.Key}, {&d.Direction, &o.Direction}, {&d.Link, &o.Link},
	} {
		if *pair.mine == "" {
			*pair.mine = *pair.other
		}
	}
	d.Happened.merge(o.Happened)
	if d.Source == d.Format {
		d.Source = o.Source
	}
	if !o.TimeReplaced && (d.TimeReplaced || o.Time.Before(d.Time)) {
		d.Time, d.TimeReplaced = o.Time, false
	}
	for _, m := range o.Marks {
		d.mark(m)
	}
	d.Severity = max(d.Severity, o.Severity)
	for kind, n := range o.LeftOut {
		d.leaveOut(kind, n)
	}
	for _, other := range o.Observables {
		i := slices.IndexFunc(d.Observables, func(have Observable) bool { return have.DataType == other.DataType && have.Data == other.Data })
		switch {
		case i >= 0:
			d.Observables[i].merge(other, "")
		case len(d.Observables) < l.Observables:
			d.Observables = append(d.Observables, other)
		default:
			d.leaveOut("observables", 1)
		}
	}
	d.Tags = union(d, "tags", d.Tags, o.Tags, l.Tags)
	d.Techniques = union(d, "techniques", d.Techniques, o.Techniques, l.Techniques)
	for _, f := range o.Files {
		if !slices.ContainsFunc(d.Files, func(have File) bool {
			return have.Name == f.Name && have.Object == f.Object && string(have.Data) == string(f.Data)
		}) {
			d.Files = append(d.Files, f)
		}
	}
	d.Why = append(d.Why, o.Why...)
}

// union appends what is new, up to a limit.
func union[T comparable](d *Detection, kind string, mine, other []T, most int) []T {
	have := make(map[T]bool, len(mine))
	for _, v := range mine {
		have[v] = true
	}
	for _, v := range other {
		switch {
		case have[v]:
		case len(mine) < most:
			have[v] = true
			mine = append(mine, v)
		default:
			d.leaveOut(kind, 1)
		}
	}
	return mine
}
