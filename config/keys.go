package config

import (
	"iter"
	"reflect"
	"strings"
	"time"
	"unicode"

	"forager/spelling"
)

// leaf is one key of the configuration: a field that holds a value, not a section.
type leaf struct {
	key   string // "hive.apiKeyFile"
	value reflect.Value
	tag   reflect.StructTag
}

// env is the variable of the key: "FORAGER_HIVE_API_KEY_FILE".
func (l leaf) env() string { return envName(l.key) }

// secret tells whether values of this key must not be shown.
func (l leaf) secret() bool { return l.value.Type() == reflect.TypeFor[Secret]() }

// path tells whether values of this key name files or directories.
func (l leaf) path() bool { return strings.HasSuffix(l.key, "File") || l.tag.Get("path") != "" }

// leaves walks the keys of a section in the order in which they are declared.
func leaves(prefix string, section reflect.Value) iter.Seq[leaf] {
	return func(yield func(leaf) bool) {
		walk(prefix, section, yield)
	}
}

func walk(prefix string, section reflect.Value, yield func(leaf) bool) bool {
	for i := range section.NumField() {
		f := section.Type().Field(i)
		if !f.IsExported() {
			continue
		}
		l := leaf{key: join(prefix, f.Tag.Get("key")), value: section.Field(i), tag: f.Tag}
		if isSection(l.value) {
			if !walk(l.key, l.value, yield) {
				return false
			}
			continue
		}
		if !yield(l) {
			return false
		}
	}
	return true
}

// isSection tells a part that has keys of its own from a value.
func isSection(v reflect.Value) bool {
	return v.Kind() == reflect.Struct && v.Type() != reflect.TypeFor[Secret]() && v.Type() != reflect.TypeFor[time.Time]()
}

// isItems tells a list of mappings.
func isItems(v reflect.Value) bool {
	return v.Kind() == reflect.Slice && v.Type().Elem().Kind() == reflect.Struct
}

func join(prefix, key string) string {
	if prefix == "" {
		return key
	}
	return prefix + "." + key
}

const envPrefix = "FORAGER_"

// envName turns hive.apiKeyFile into FORAGER_HIVE_API_KEY_FILE.
func envName(key string) string {
	var b strings.Builder
	for _, r := range key {
		switch {
		case r == '.':
			b.WriteByte('_')
		case unicode.IsUpper(r):
			b.WriteByte('_')
			b.WriteRune(r)
		default:
			b.WriteRune(unicode.ToUpper(r))
		}
	}
	return envPrefix + b.String()
}

// nearest gives the candidate that a typing slip could have meant, or "".
func nearest(word string, candidates iter.Seq[string]) string {
	best, least := "", 3 // two slips at most
	for c := range candidates {
		if strings.EqualFold(c, word) {
			return c
		}
		if d := spelling.Distance(word, c); d < least {
			best, least = c, d
		}
	}
	return best
}
