package config

import (
	"io/fs"
	"reflect"
	"slices"
	"strings"
)

// Source is where a configuration is read from.
type Source struct {
	Name     string                       // of the file, for messages
	Text     []byte                       // content of the file; nil is none
	Env      []string                     // environment as "NAME=value"; of other names than FORAGER_… those count that say where contexts of the nats command are
	ReadFile func(string) ([]byte, error) // reads the files that …File keys and rules.files name, os.ReadFile

	// ReadSecret reads the files that …File keys name, where they have a bound of their own; nil: ReadFile does.
	ReadSecret func(string) ([]byte, error)

	// ReadDir lists the directories that rules.files names, os.ReadDir; nil: it names files only.
	ReadDir func(string) ([]fs.DirEntry, error)

	Connects []string // ToNATS, ToHive, ToWebhook, ToIntake: what will be connected to; of the others, addresses and credentials may be missing
}

// What a command may connect to.
const (
	ToNATS = "nats"
	ToHive = "hive"
	// ToWebhook: TheHive connects to the worker.
	ToWebhook = "webhook"
	// ToIntake: senders connect to the worker.
	ToIntake = "intake"
)

// Load reads a configuration: defaults, the file above them, the environment above both. The
// error is an *[Error] with every problem, in the order of the file, then of the variables. With it
// comes what could be read, with which nobody must work: it is for those who understand more of a
// configuration ([Config.Wrong]), so that they name their mistakes at the same time.
func Load(s Source) (*Config, error) {
	c := Default()
	l := &loader{source: s, config: &c, from: map[string]place{}}
	l.reading("", string(s.Text))
	l.whole()
	l.paths()
	l.environment()
	l.context()
	l.ruleFiles()
	l.secrets()
	l.senders()
	l.missing()
	l.fill()
	l.together()
	c.name, c.places = s.Name, l.from
	if len(l.problems) > 0 {
		slices.SortStableFunc(l.problems, inOrder)
		return &c, &Error{Name: s.Name, Problems: l.problems}
	}
	return &c, nil
}

// loader gathers values and problems.
type loader struct {
	source   Source
	config   *Config
	file     string           // that is being read; empty is the configuration's own
	text     string           // of the file that is being read
	from     map[string]place // where the value of a key came from
	problems []*Problem
	garbled  bool // the configuration file is no YAML, or no mapping: what it lacks is not known
}

// place is where a value was written: a line of the file, or a variable.
type place struct {
	text         string
	line, column int
	env          string
	file         string // empty is the configuration's own
	source       string // whole text of the file
	block        bool   // a literal block: the text begins in the next line
}

// leaves walks all keys.
func (l *loader) leaves() func(func(leaf) bool) {
	return leaves("", reflect.ValueOf(l.config).Elem())
}

// refuse notes a problem of a key with the value that it was given, if it was given one.
func (l *loader) refuse(key string, kind error, detail string) {
	p := &Problem{Key: key, Err: kind, Detail: detail}
	if around, ok := placeIn(l.from, key); ok && around.env == "" { // of a key that is missing, the item that lacks it
		p.Line, p.Column, p.File = around.line, around.column, around.file
	}
	if at, ok := l.from[key]; ok {
		p.Value, p.Line, p.Column, p.File = at.text, at.line, at.column, at.file
		if at.env != "" {
			p.Key = at.env
		}
	}
	l.problems = append(l.problems, p)
}

// set gives a key its value from a text.
func (l *loader) set(f leaf, text string, at place) {
	at.text = text
	if f.secret() && text != "" {
		at.text = redacted
	}
	l.from[f.key] = at
	before := reflect.New(f.value.Type()).Elem()
	before.Set(f.value)
	if err := setText(f.value, f.tag, text); err != nil {
		f.value.Set(before) // so that no other rule complains about the same slip
		l.refuse(f.key, ErrValue, err.Error())
	}
}

// environment reads the variables, and refuses those that look like ours and are not.
func (l *loader) environment() {
	known := map[string]leaf{}
	for f := range l.leaves() {
		known[f.env()] = f
	}
	vars := slices.Clone(l.source.Env)
	slices.Sort(vars)
	for _, v := range vars {
		name, text, _ := strings.Cut(v, "=")
		if f, ok := known[name]; ok {
			l.setEnv(f, name, text)
			continue
		}
		if strings.HasPrefix(name, envPrefix) && !foreign(name) {
			l.problems = append(l.problems, &Problem{Key: name, Err: ErrUnknown, Detail: unknownVariable(name, known)})
		}
	}
}

// setEnv gives a key its value from a variable; lists of mappings are written in YAML there.
func (l *loader) setEnv(f leaf, name, text string) {
	if !isItems(f.value) {
		l.set(f, text, place{env: name})
		return
	}
	here := place{env: name, text: text}
	if holdsSecret(f.value.Type().Elem()) {
		here.text = redacted
	}
	l.from[f.key] = here
	f.value.SetZero() // the environment wins over the file, whole
	for key := range l.from {
		if strings.HasPrefix(key, f.key+"[") {
			delete(l.from, key)
		}
	}
	l.items(f, text)
	for key := range l.from {
		if key == f.key || strings.HasPrefix(key, f.key+"[") {
			l.from[key] = here
		}
	}
}

// holdsSecret tells whether items of a list may have a secret in them.
func holdsSecret(item reflect.Type) bool {
	for f := range leaves("", reflect.New(item).Elem()) {
		if f.secret() {
			return true
		}
	}
	return false
}

func unknownVariable(name string, known map[string]leaf) string {
	detail := "no such variable"
	if n := nearest(name, func(yield func(string) bool) {
		for k := range known {
			if !yield(k) {
				return
			}
		}
	}); n != "" {
		detail += ", did you mean " + n + "?"
	}
	return detail
}

// foreign tells the variables that a command of ours or somebody else sets: Kubernetes gives
// every pod the addresses of the services around it, and a service may well be called forager.
func foreign(name string) bool {
	return name == "FORAGER_CONFIG" || strings.Contains(name, "_SERVICE_") || strings.Contains(name, "_PORT")
}

// problem notes a problem of the file that is being read.
func (l *loader) problem(p *Problem) {
	p.File = l.file
	l.problems = append(l.problems, p)
}

// secrets reads the files that hold secrets.
func (l *loader) secrets() {
	byKey := map[string]leaf{}
	for f := range l.leaves() {
		byKey[f.key] = f
	}
	for f := range l.leaves() {
		holder, ok := byKey[f.key+"File"]
		if !f.secret() || !ok || holder.value.String() == "" {
			continue
		}
		if _, twice := l.from[f.key]; twice {
			l.refuse(holder.key, ErrValue, "give "+f.key+" or "+holder.key+", not both")
			continue
		}
		l.readSecret(f, holder)
	}
}

func (l *loader) readSecret(f, holder leaf) {
	section, _, _ := strings.Cut(holder.key, ".")
	if section == "files" {
		section = ToHive // that is where they go
	}
	if section == "ops" {
		section = ToWebhook // somebody connects to the worker
	}
	if !slices.Contains(l.source.Connects, section) || l.source.ReadFile == nil {
		return
	}
	var secret Secret
	l.readSecretFile(holder.key, holder.value.String(), &secret)
	if !secret.Empty() {
		f.value.Set(reflect.ValueOf(secret))
	}
}

// readSecretFile reads the file that a key names, or refuses it.
func (l *loader) readSecretFile(key, file string, into *Secret) {
	read := l.source.ReadFile
	if l.source.ReadSecret != nil {
		read = l.source.ReadSecret
	}
	text, err := read(file)
	if err != nil {
		l.refuse(key, ErrValue, err.Error())
		return
	}
	secret, err := ParseSecret(text)
	if err != nil {
		l.refuse(key, ErrValue, err.Error())
		return
	}
	*into = secret
}

// missing refuses a configuration that lacks what its servers cannot be reached without.
func (l *loader) missing() {
	if l.garbled {
		return
	}
	for f := range l.leaves() {
		if slices.Contains(l.source.Connects, f.tag.Get("need")) && strings.TrimSpace(f.value.String()) == "" {
			l.refuse(f.key, ErrMissing, "set "+f.key+" in the file, or "+f.env())
		}
	}
	h := l.config.Hive
	if slices.Contains(l.source.Connects, ToHive) && h.APIKey.Empty() && h.APIKeyFile == "" && h.User == "" {
		l.refuse("hive.apiKey", ErrMissing, "set hive.apiKeyFile in the file, or FORAGER_HIVE_API_KEY_FILE, or FORAGER_HIVE_API_KEY")
	}
}
