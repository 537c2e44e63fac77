package hive

import (
	"encoding/json"
	"errors"
	"math"
	"reflect"
	"time"
	"unicode/utf8"
)

// Value is what a field can be compared with. A time.Time is sent as its
// milliseconds, a [Relative] as a moment relative to TheHive's clock. Nothing
// that a value holds can act as an operator: it is a JSON scalar, always.
type Value interface {
	~string | ~bool | ~int | ~int32 | ~int64 | ~float64 | time.Time | Relative
}

// Relative is a moment relative to now by TheHive's clock, for Lt, Lte, Gt,
// Gte and Between on dates (TheHive 5.4; OpenAPI 5.5.13, "Date").
type Relative struct {
	// Amount of Unit, not negative.
	Amount int `json:"amount"`
	// Unit is one of minutes, hours, days, weeks, months, years.
	Unit string `json:"unit"`
	// Ahead counts into the future instead of the past.
	Ahead bool `json:"-"`
	// Timezone, such as "Europe/Paris", matters with Modifier; default: the server's.
	Timezone string `json:"timezone,omitempty"`
	// Modifier is "", "startOfDay" or "endOfDay".
	Modifier string `json:"modifier,omitempty"`
}

// MarshalJSON writes the direction in TheHive's words.
func (r Relative) MarshalJSON() ([]byte, error) {
	type plain Relative
	look := "behind"
	if r.Ahead {
		look = "ahead"
	}
	return json.Marshal(struct {
		plain
		Look string `json:"look"`
	}{plain(r), look})
}

// Filter chooses entities. It is opaque and immutable: made by Eq, And and
// their like, given to a [Query] or a count. The zero Filter chooses all. A
// mistake in its parts, such as an empty field name, comes out as an
// [*InvalidError] of the call that uses it.
//
// Field names are TheHive's: "title", "tags", "startDate", "_createdAt",
// "dataType", "patternId" … and [CustomFieldPath] for custom fields. On tags
// and other lists Eq means "has the member".
type Filter struct {
	operator string // "": all
	operand  any
	err      error
}

// comparison is the operand of the operators with one value.
type comparison struct {
	Field string `json:"_field"`
	Value any    `json:"_value"`
}

// membership is the operand of _in.
type membership struct {
	Field  string `json:"_field"`
	Values []any  `json:"_values"`
}

// interval is the operand of _between.
type interval struct {
	Field string `json:"_field"`
	From  any    `json:"_from"`
	To    any    `json:"_to"`
}

// Errors in the parts of a filter.
var (
	errNoField  = errors.New("has an empty field name")
	errNoUTF8   = errors.New("has text that is not valid UTF-8")
	errNumber   = errors.New("has a number that is not finite")
	errRelative = errors.New("has a relative date with an unknown unit or modifier, or a negative amount")
	errID       = errors.New("has an id that is not ~ and digits")
)

// Eq chooses entities whose field is value, or, on a list such as tags, has it.
func Eq[V Value](field string, value V) Filter { return compare("_eq", field, value) }

// Ne chooses entities whose field is not value.
func Ne[V Value](field string, value V) Filter { return compare("_ne", field, value) }

// Gt chooses entities whose field is greater than, or later than, value.
func Gt[V Value](field string, value V) Filter { return compare("_gt", field, value) }

// Gte chooses entities whose field is value or greater.
func Gte[V Value](field string, value V) Filter { return compare("_gte", field, value) }

// Lt chooses entities whose field is less than, or earlier than, value.
func Lt[V Value](field string, value V) Filter { return compare("_lt", field, value) }

// Lte chooses entities whose field is value or less.
func Lte[V Value](field string, value V) Filter { return compare("_lte", field, value) }

// Like chooses entities whose field, or a word of it, contains text. Which of
// the two depends on how TheHive indexes the field; a "*" in text is a wildcard
// to some releases and cannot be escaped.
func Like(field, text string) Filter { return compare("_like", field, text) }

// Match chooses entities whose field contains the word.
func Match(field, word string) Filter { return compare("_match", field, word) }

// StartsWith chooses entities whose field begins with text.
func StartsWith(field, text string) Filter { return compare("_startsWith", field, text) }

// EndsWith chooses entities whose field ends with text.
func EndsWith(field, text string) Filter { return compare("_endsWith", field, text) }

// Between chooses entities whose field is at least from and less than to.
func Between[F, T Value](field string, from F, to T) Filter {
	a, errA := wireValue(from)
	b, errB := wireValue(to)
	return Filter{"_between", interval{field, a, b}, errors.Join(checkField(field), errA, errB)}
}

// In chooses entities whose field is one of values; no values choose nothing.
func In[V Value](field string, values ...V) Filter {
	list := make([]any, 0, len(values))
	err := checkField(field)
	for _, v := range values {
		w, wrong := wireValue(v)
		list, err = append(list, w), errors.Join(err, wrong)
	}
	return Filter{"_in", membership{field, list}, err}
}

// Has chooses entities on which the field is set.
func Has(field string) Filter { return Filter{"_has", field, checkField(field)} }

// ID chooses the entity with this id ("~" and digits).
func ID(id string) Filter {
	if !idShape.MatchString(id) {
		return Filter{err: errID}
	}
	return Filter{operator: "_id", operand: id}
}

// Any chooses all entities, as the zero Filter does.
func Any() Filter { return Filter{} }

// And chooses what all filters choose; without filters, all.
func And(filters ...Filter) Filter {
	if len(filters) == 0 {
		return Any()
	}
	return combine("_and", filters)
}

// Or chooses what any filter chooses; without filters, nothing.
func Or(filters ...Filter) Filter { return combine("_or", filters) }

// Not chooses what filter does not.
func Not(filter Filter) Filter { return Filter{"_not", filter, filter.err} }

// CustomFieldPath is the field name of a custom field in filters and sorts.
func CustomFieldPath(name string) string { return "customFields." + name }

// MarshalJSON writes the filter as TheHive's query API reads it.
func (f Filter) MarshalJSON() ([]byte, error) {
	if f.err != nil {
		return nil, f.err
	}
	if f.operator == "" {
		return []byte(`{"_any":null}`), nil
	}
	return json.Marshal(map[string]any{f.operator: f.operand})
}

// all reports whether the filter chooses everything without looking.
func (f Filter) all() bool { return f.operator == "" && f.err == nil }

// combine joins filters, and their mistakes.
func combine(operator string, filters []Filter) Filter {
	var err error
	for _, f := range filters {
		err = errors.Join(err, f.err)
	}
	return Filter{operator, append([]Filter{}, filters...), err}
}

// compare is a filter with one value.
func compare[V Value](operator, field string, value V) Filter {
	wire, err := wireValue(value)
	return Filter{operator, comparison{field, wire}, errors.Join(checkField(field), err)}
}

// checkField refuses a field name that is empty or no text.
func checkField(field string) error {
	switch {
	case field == "":
		return errNoField
	case !utf8.ValidString(field):
		return errNoUTF8
	}
	return nil
}

// wireValue is a value as it is sent, or why it cannot be.
func wireValue[V Value](value V) (any, error) {
	switch v := any(value).(type) {
	case time.Time:
		return MillisOf(v), nil
	case Relative:
		return v, v.check()
	}
	return scalar(value)
}

// check refuses what TheHive's date grammar does not know.
func (r Relative) check() error {
	switch r.Unit {
	case "minutes", "hours", "days", "weeks", "months", "years":
	default:
		return errRelative
	}
	if r.Amount < 0 || r.Modifier != "" && r.Modifier != "startOfDay" && r.Modifier != "endOfDay" {
		return errRelative
	}
	return nil
}

// scalar reduces a value of a named type to the plain kind below it, so that
// no method of that type can write anything but a JSON scalar.
func scalar(value any) (any, error) {
	v := reflect.ValueOf(value)
	switch v.Kind() {
	case reflect.String:
		if s := v.String(); utf8.ValidString(s) {
			return s, nil
		}
		return nil, errNoUTF8
	case reflect.Bool:
		return v.Bool(), nil
	case reflect.Int, reflect.Int32, reflect.Int64:
		return v.Int(), nil
	default:
		f := v.Float()
		if math.IsNaN(f) || math.IsInf(f, 0) {
			return nil, errNumber
		}
		return f, nil
	}
}
