package config

import "reflect"

// WithRulesOf gives this configuration with what may change while a worker runs taken from a newer
// one: routes, silences, formats, allow-lists, and the level of the log. It names the sections in which
// the newer one differs otherwise, which need a restart.
func (c *Config) WithRulesOf(newer *Config) (merged *Config, restart []string) {
	all := *c
	all.Formats, all.AllowLists, all.Rules, all.Routes, all.Silences = newer.Formats, newer.AllowLists, newer.Rules, newer.Routes, newer.Silences
	all.Log.Level = newer.Log.Level
	all.name, all.places = newer.name, newer.places
	is, wanted := reflect.ValueOf(all), reflect.ValueOf(newer).Elem()
	for i := range is.NumField() {
		f := is.Type().Field(i)
		if f.IsExported() && !reflect.DeepEqual(is.Field(i).Interface(), wanted.Field(i).Interface()) {
			restart = append(restart, f.Tag.Get("key"))
		}
	}
	return &all, restart
}
