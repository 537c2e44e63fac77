package rules_test

import (
	"testing"

	"forager/enrich/rules"
)

// TestAMistakeInAConditionNamesTheFieldAndItsType: what CEL says of it, somebody who writes rules cannot know.
func TestAMistakeInAConditionNamesTheFieldAndItsType(t *testing.T) {
	t.Parallel()
	const all = "action, commandLine, description, direction, fields, file, format, from, host, id, ip, key, link, observables, parent, process, " +
		"raw, rule, severity, source, subject, tactics, tags, techniques, time, title, to, user"
	for text, want := range map[string]string{
		"detection.severty >= 3":                         "1:10 detection.severty: no such field; meant severity? it is an int 1–4",
		"true &&\n detection.Host == 'x'":                "2:11 detection.Host: no such field; meant host? it is a string",
		"detection.commandline == 'x'":                   "1:10 detection.commandline: no such field; meant commandLine? it is a string",
		"'x' in detection.tag":                           "1:17 detection.tag: no such field; meant tags? it is a list of strings",
		"detection.tme > timestamp('2026-03-02T08:00Z')": `1:10 detection.tme: no such field; meant time? it is a timestamp, as timestamp("2026-03-02T08:00:00Z") is`,
		"detection.nonsense == 'x'":                      "1:10 detection.nonsense: no such field; there are " + all,
		"detection.rule.nme == 'x'":                      "1:15 detection.rule.nme: no such field; meant name? it is a string",
		"detection.rule.level == 'x'":                    "1:15 detection.rule.level: no such field; there are id, name",
		"detection.observables[0].value == 'x'":          "1:25 detection.observables[…].value: no such field; there are data, ioc, tags, type",
		"detection.observables.exists(o, o.dta == 'x')":  "1:34 o.dta: no such field; meant data? it is a string",
		"detection.severity == 'high'":                   "1:20 found no matching overload for '_==_' applied to '(int, string)': detection.severity is an int 1–4",
		"'high' < detection.severity":                    "1:8 found no matching overload for '_<_' applied to '(string, int)': detection.severity is an int 1–4",
		"detection.tags.contains('x')":                   "1:24 found no matching overload for 'contains' applied to 'list(string).(string)': detection.tags is a list of strings",
		"detection.rule == 'x'":                          "1:16 found no matching overload for '_==_' applied to '(rule, string)': detection.rule is a rule with id and name",
		"detection.observables[0].ioc == 'x'":            "1:30 found no matching overload for '_==_' applied to '(bool, string)': detection.observables[…].ioc is a bool",
		"detection.time > '2026-03-02'":                  `1:16 found no matching overload for '_>_' applied to '(timestamp, string)': detection.time is a timestamp, as timestamp("2026-03-02T08:00:00Z") is`,
		"detection.host.name == 'x'":                     "1:15 type 'string' does not support field selection: detection.host is a string",
		"detection.host == 'x":                           "1:19 Syntax error: token recognition error at: ''x'",
		"host == 'x'":                                    "1:1 undeclared reference to 'host': write detection.host",
	} {
		_, err := rules.NewRouter(rules.Rules{Routes: []rules.Route{{Name: "r", When: text}}})
		if got := placesOf(err); got != want {
			t.Errorf("%s\n got %s\nwant %s", text, got, want)
		}
	}
}
