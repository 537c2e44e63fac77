package config

import "reflect"

// WithRulesOf gives this configuration with what may change while a worker runs taken from a newer
// one: routes, silences, formats, allow-lists, lookups, the objects that senders may name, the level of the log, and the secrets that lie in files
// which who uses them reads again. It names the sections in which the newer one differs otherwise,
// which need a restart.
func (c *Config) WithRulesOf(newer *Config) (merged *Config, restart []string) {
	all := *c
	all.Formats, all.AllowLists, all.Rules, all.Routes, all.Silences = newer.Formats, newer.AllowLists, newer.Rules, newer.Routes, newer.Silences
	all.Lookups = newer.Lookups
	all.Files.Objects, all.Log.Level = newer.Files.Objects, newer.Log.Level
	all.name, all.places = newer.name, newer.places
	all.turn(newer)
	all.turnSenders(newer)
	is, wanted := reflect.ValueOf(all), reflect.ValueOf(newer).Elem()
	for i := range is.NumField() {
		f := is.Type().Field(i)
		if f.IsExported() && !reflect.DeepEqual(is.Field(i).Interface(), wanted.Field(i).Interface()) {
			restart = append(restart, f.Tag.Get("key"))
		}
	}
	return &all, restart
}

// turn takes over the secrets of files that a worker reads again by itself. Where the file is another
// one, or there is none, the old secret stays.
func (c *Config) turn(newer *Config) {
	for _, s := range []struct {
		secret        *Secret
		file          string
		newer         Secret
		newerFromFile string
	}{
		{&c.NATS.Password, c.NATS.PasswordFile, newer.NATS.Password, newer.NATS.PasswordFile},
		{&c.NATS.Token, c.NATS.TokenFile, newer.NATS.Token, newer.NATS.TokenFile},
		{&c.Hive.APIKey, c.Hive.APIKeyFile, newer.Hive.APIKey, newer.Hive.APIKeyFile},
		{&c.Hive.Password, c.Hive.PasswordFile, newer.Hive.Password, newer.Hive.PasswordFile},
		{&c.Webhook.Token, c.Webhook.TokenFile, newer.Webhook.Token, newer.Webhook.TokenFile},
		{&c.Ops.Token, c.Ops.TokenFile, newer.Ops.Token, newer.Ops.TokenFile},
		{&c.Ops.Password, c.Ops.PasswordFile, newer.Ops.Password, newer.Ops.PasswordFile},
		{&c.Webhook.Password, c.Webhook.PasswordFile, newer.Webhook.Password, newer.Webhook.PasswordFile},
	} {
		if s.file != "" && s.file == s.newerFromFile {
			*s.secret = s.newer
		}
	}
}
