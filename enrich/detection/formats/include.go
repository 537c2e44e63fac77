package formats

import (
	"fmt"
	"slices"
)

// include appends what `with` takes from other files, with its paths below a prefix.
func (f *Format) include(specs map[string]*spec) error {
	own := *f.spec // a spec may be included by several formats: never change the original
	f.spec = &own
	for i, w := range f.With {
		from := specs[w.Format]
		if from == nil || w.Format == f.Format {
			return keyed(fmt.Errorf("no other format %q", w.Format), "with[%d]", i)
		}
		take := w.Take
		if len(take) == 0 {
			take = []string{"observables"}
		}
		for _, what := range take {
			if err := f.take(from, what, w.Under); err != nil {
				return keyed(err, "with[%d]", i)
			}
		}
	}
	return nil
}

func (f *Format) take(from *spec, what string, under Path) error {
	switch what {
	case "observables":
		f.Observables = slices.Clone(f.Observables)
		for _, o := range from.Observables {
			f.Observables = append(f.Observables, o.under(under))
		}
		f.Own = append(slices.Clone(f.Own), below(from.Own, under)...)
		f.Parse.JSON = append(slices.Clone(f.Parse.JSON), below(from.Parse.JSON, under)...)
		f.Parse.Pairs = append(slices.Clone(f.Parse.Pairs), below(from.Parse.Pairs, under)...)
	case "techniques":
		f.Techniques = slices.Clone(f.Techniques)
		for _, t := range from.Techniques {
			f.Techniques = append(f.Techniques, t.under(under))
		}
	case "happened":
		mine, theirs := f.Happened.Fields(), from.Happened.Fields()
		for i := range mine {
			*mine[i] = append(slices.Clone(*mine[i]), theirs[i].under(under)...)
		}
	case "time", "severity", "title", "description", "host", "user", "ip", "direction", "link":
		mine, theirs := f.named(what), (&Format{spec: from}).named(what)
		*mine = append(slices.Clone(*mine), theirs.under(under)...)
	default:
		return fmt.Errorf("take: %q is none of observables, techniques, happened, time, severity, title, description, host, user, ip, direction, link", what)
	}
	return nil
}

// named are the fields of a name that other files may take.
func (f *Format) named(name string) *Fields {
	return map[string]*Fields{
		"time": &f.Time, "severity": &f.Severity, "title": &f.Title, "description": &f.Description, "host": &f.Host,
		"user": &f.User, "ip": &f.IP, "direction": &f.Direction, "link": &f.Link,
	}[name]
}

func below(paths []Path, prefix Path) []Path {
	if len(paths) == 0 {
		return nil
	}
	out := make([]Path, len(paths))
	for i, p := range paths {
		out[i] = p.under(prefix)
	}
	return out
}

func (o ObservableRule) under(prefix Path) ObservableRule {
	own := *o.shape // the original is the other file's
	o.shape = &own
	o.Path = below(o.Path, prefix)
	if o.Each.IsSet() {
		o.Each = o.Each.under(prefix)
	} else {
		o.Join = below(o.Join, prefix)
	}
	o.When = conditionsUnder(o.When, prefix)
	return o
}

func (r TechniqueRule) under(prefix Path) TechniqueRule {
	if r.Each.IsSet() {
		r.Each = r.Each.under(prefix)
	} else {
		r.Path, r.Else, r.Tactic = below(r.Path, prefix), below(r.Else, prefix), below(r.Tactic, prefix)
	}
	r.When = conditionsUnder(r.When, prefix)
	return r
}

func (f Fields) under(prefix Path) Fields {
	out := slices.Clone(f)
	for i := range out {
		own := *out[i].how // the original is the other file's
		out[i].how = &own
		out[i].Path = out[i].Path.under(prefix)
		if out[i].Each.IsSet() {
			out[i].Each = out[i].Each.under(prefix)
		} else {
			out[i].Join = below(out[i].Join, prefix)
		}
		out[i].When = conditionsUnder(out[i].When, prefix)
	}
	return out
}

func conditionsUnder(when []Condition, prefix Path) []Condition {
	if len(when) == 0 {
		return nil
	}
	out := slices.Clone(when)
	for i := range out {
		out[i].Path = below(out[i].Path, prefix)
	}
	return out
}
