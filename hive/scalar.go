package hive

import (
	"math"
	"reflect"
	"unicode/utf8"
)

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
