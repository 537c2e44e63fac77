package formats

import (
	"errors"
	"fmt"
	"slices"

	"forager/enrich/detection/canon"
	"forager/enrich/detection/tree"
)

// fields are all fields of a format.
func (f *Format) fields() []*Fields {
	return []*Fields{
		&f.Time, &f.Severity, &f.Title, &f.Description, &f.Source, &f.Rule.ID, &f.Rule.Name, &f.Host, &f.User, &f.IP, &f.Key, &f.LastKey, &f.Direction, &f.Link,
		&f.Happened.Process, &f.Happened.CommandLine, &f.Happened.Parent, &f.Happened.File, &f.Happened.From, &f.Happened.To, &f.Happened.Action,
	}
}

// eachPath shows every path that is looked up from the event itself.
func (f *Format) eachPath(do func(*Path)) {
	all := func(paths []Path) {
		for i := range paths {
			do(&paths[i])
		}
	}
	list := func(fs Fields) {
		for i := range fs {
			do(&fs[i].Path)
			if do(&fs[i].Each); !fs[i].Each.IsSet() {
				all(fs[i].Join)
			}
		}
	}
	for _, fs := range f.fields() {
		list(*fs)
	}
	for _, alt := range f.ID {
		all(alt)
	}
	all(f.Hash)
	all(f.Own)
	all(f.Split.Of)
	for i := range f.Tags {
		do(&f.Tags[i].Path)
	}
	for i := range f.Observables {
		o := &f.Observables[i]
		all(o.Path)
		if do(&o.Each); !o.Each.IsSet() {
			all(o.Join)
		}
	}
	for i := range f.Techniques {
		t := &f.Techniques[i]
		if do(&t.Each); !t.Each.IsSet() {
			all(t.Path)
			all(t.Else)
			all(t.Tactic)
		}
	}
	for i := range f.Files {
		do(&f.Files[i].Each)
	}
}

// eachCondition shows every condition that decides while an event is read.
func (f *Format) eachCondition(do func(*Condition)) {
	all := func(when []Condition) {
		for i := range when {
			do(&when[i])
		}
	}
	for _, fs := range f.fields() {
		for i := range *fs {
			all((*fs)[i].When)
		}
	}
	for i := range f.Observables {
		all(f.Observables[i].When)
	}
	for i := range f.Techniques {
		all(f.Techniques[i].When)
	}
}

// checkRules refuses what no event could be read by.
func (f *Format) checkRules() error {
	if len(f.Title) == 0 {
		return keyed(errors.New("a format needs one"), "title")
	}
	if f.Split.Each.IsSet() != (len(f.Split.By) > 0) {
		return keyed(errors.New("each and by belong together"), "split")
	}
	for i := range f.Observables {
		if err := f.Observables[i].check(); err != nil {
			return keyed(err, "observables[%d]", i)
		}
	}
	for i, t := range f.Techniques {
		if len(t.Path) == 0 {
			return keyed(errNoPath, "techniques[%d]", i)
		}
		if t.Reader != "" && t.Reader != "tags" {
			return keyed(fmt.Errorf("%q is not \"tags\"", t.Reader), "techniques[%d].reader", i)
		}
	}
	for i, t := range f.Tags {
		if t.Reader != "" && t.Reader != "list" {
			return keyed(fmt.Errorf("%q is not \"list\"", t.Reader), "tags[%d].reader", i)
		}
	}
	for i, fl := range f.Files {
		if !fl.Each.IsSet() || !fl.Name.IsSet() {
			return keyed(errors.New("each and name are needed"), "files[%d]", i)
		}
	}
	return nil
}

func (o *ObservableRule) check() error {
	switch {
	case o.Reader == "typed":
		if !o.Each.IsSet() || !o.Kind.IsSet() || !o.Value.IsSet() {
			return errors.New("the reader typed needs each, kind and value")
		}
	case len(o.Join) > 0:
	case len(o.Path) == 0:
		return errNoPath
	case o.Reader != "" && !slices.Contains([]string{"hashes", "tuple", "list", "hostlist"}, o.Reader):
		return fmt.Errorf("reader %q is none of hashes, tuple, list, typed", o.Reader)
	}
	if o.Reader != "typed" && o.Reader != "hashes" && o.Reader != "tuple" && !canon.KnownType(o.Type) {
		return fmt.Errorf("type %q is none of %v", o.Type, canon.RuleTypes)
	}
	o.types = map[string]string{}
	for kind, dataType := range o.Types {
		if dataType != "skip" && !canon.KnownType(dataType) {
			return fmt.Errorf("types: %q is none of %v", dataType, canon.RuleTypes)
		}
		o.types[tree.Fold(kind)] = dataType
	}
	return nil
}

func (f *Format) checkConditions() error {
	lists := map[string][]Condition{}
	for i, when := range f.Recognise {
		lists[fmt.Sprintf("recognise[%d]", i)] = when
	}
	for i, d := range f.Drop {
		if d.Reason == "" {
			return keyed(errors.New("no reason"), "drop[%d]", i)
		}
		lists[fmt.Sprintf("drop[%d]", i)] = d.When
	}
	for i, o := range f.Observables {
		lists[fmt.Sprintf("observables[%d].when", i)] = o.When
	}
	for i, t := range f.Techniques {
		lists[fmt.Sprintf("techniques[%d].when", i)] = t.When
	}
	for key, when := range lists {
		for _, c := range when {
			if len(c.Path) == 0 {
				return keyed(errNoPath, "%s", key)
			}
			if c.Type != "" && !slices.Contains([]string{"object", "array", "string", "number", "bool"}, c.Type) {
				return keyed(fmt.Errorf("type %q is none of object, array, string, number, bool", c.Type), "%s", key)
			}
		}
	}
	return nil
}

var errNoPath = errors.New("no path")

// keyed gives an error the key of the file that it is about.
func keyed(err error, key string, args ...any) error {
	return &Error{Key: fmt.Sprintf(key, args...), Err: err}
}
