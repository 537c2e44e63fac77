package config

import (
	"reflect"
	"slices"
)

// reloadable are the sections that may change while a worker runs.
var reloadable = []string{"formats", "allowLists", "rules", "routes", "silences"}

// WithRulesOf gives this configuration with what may change while a worker runs taken from a newer
// one: routes, silences, formats and allow-lists. It names the sections in which the newer one
// differs otherwise, which need a restart.
func (c *Config) WithRulesOf(newer *Config) (merged *Config, restart []string) {
	all := *c
	all.Formats, all.AllowLists, all.Rules, all.Routes, all.Silences = newer.Formats, newer.AllowLists, newer.Rules, newer.Routes, newer.Silences
	all.name, all.places = newer.name, newer.places
	was, is := reflect.ValueOf(c).Elem(), reflect.ValueOf(newer).Elem()
	for i := range was.NumField() {
		f := was.Type().Field(i)
		key := f.Tag.Get("key")
		if f.IsExported() && !slices.Contains(reloadable, key) && !reflect.DeepEqual(was.Field(i).Interface(), is.Field(i).Interface()) {
			restart = append(restart, key)
		}
	}
	return &all, restart
}
