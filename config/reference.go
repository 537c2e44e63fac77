package config

import (
	"fmt"
	"io"
	"reflect"
	"strconv"
	"strings"
	"time"
)

// Key describes one key, for the reference.
type Key struct {
	Name    string // "hive.apiKeyFile"
	Env     string // "FORAGER_HIVE_API_KEY_FILE"; empty for a key of a list's items
	Kind    string // "text", "secret", "number", "duration", "size", "true or false", "list", or the words that it may be
	Default string // as it would be written; empty when there is none
	Needed  bool   // the worker does not run without it
	Doc     string // what it means
}

// Reference describes every key, in the order of the sections.
func Reference() []Key {
	c := Default()
	var keys []Key
	for f := range leaves("", reflect.ValueOf(&c).Elem()) {
		k := describe(f)
		k.Env = f.env()
		keys = append(append(keys, k), itemKeys(f)...)
	}
	return keys
}

func describe(f leaf) Key {
	return Key{
		Name: f.key, Kind: kindName(f), Default: defaultOf(f),
		Needed: f.tag.Get("need") != "" && f.value.IsZero(), Doc: f.tag.Get("doc"),
	}
}

// itemKeys describes what the items of a list hold: routes[].when. They have no variable of their
// own; that of the list takes them all, as YAML.
func itemKeys(f leaf) []Key {
	if !isItems(f.value) {
		return nil
	}
	var keys []Key
	for part := range leaves(f.key+"[]", reflect.New(f.value.Type().Elem()).Elem()) {
		keys = append(append(keys, describe(part)), itemKeys(part)...)
	}
	return keys
}

// WriteReference writes the reference as a Markdown table.
func WriteReference(w io.Writer) error {
	var b strings.Builder
	b.WriteString("| Key | Variable | Kind | Default | Meaning |\n|---|---|---|---|---|\n")
	for _, k := range Reference() {
		def := k.Default
		if k.Needed {
			def = "*needed*"
		} else if def != "" {
			def = "`" + def + "`"
		}
		env := k.Env
		if env != "" {
			env = "`" + env + "`"
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s | %s | %s |\n", k.Name, env, k.Kind, def, k.Doc)
	}
	if _, err := io.WriteString(w, b.String()); err != nil {
		return fmt.Errorf("write reference: %w", err)
	}
	return nil
}

func kindName(f leaf) string {
	if words := strings.Fields(f.tag.Get("oneof")); len(words) > 0 {
		return strings.Join(words, ", ")
	}
	switch f.value.Interface().(type) {
	case Secret:
		return "secret"
	case time.Duration, *time.Duration:
		return "duration"
	case time.Time:
		return "instant or day"
	case Level:
		return "severity"
	case Size:
		return "size"
	case int:
		return "number"
	case bool:
		return "true or false"
	case string:
		return "text"
	default:
		return "list"
	}
}

func defaultOf(f leaf) string {
	if show := f.tag.Get("show"); show != "" {
		return show
	}
	if strings.Contains(f.key, "[]") {
		return "" // an item that is not there has no values
	}
	switch v := f.value.Interface().(type) {
	case time.Duration:
		return showDuration(v)
	case []string:
		return strings.Join(v, ",")
	case bool:
		return strconv.FormatBool(v)
	default:
		if f.value.IsZero() {
			return ""
		}
		return fmt.Sprint(v)
	}
}

// showDuration writes a duration as somebody would: 24h and 90d, not 24h0m0s.
func showDuration(d time.Duration) string {
	const day = 24 * time.Hour
	if d > day && d%day == 0 {
		return fmt.Sprintf("%dd", d/day)
	}
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}
