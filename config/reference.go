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
	Env     string // "FORAGER_HIVE_API_KEY_FILE"
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
		keys = append(keys, Key{
			Name: f.key, Env: f.env(), Kind: kindName(f), Default: defaultOf(f),
			Needed: f.tag.Get("need") != "" && f.value.IsZero(), Doc: f.tag.Get("doc"),
		})
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
		fmt.Fprintf(&b, "| `%s` | `%s` | %s | %s | %s |\n", k.Name, k.Env, k.Kind, def, k.Doc)
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
	case time.Duration:
		return "duration"
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
