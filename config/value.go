package config

import (
	"errors"
	"fmt"
	"math"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Size is a number of bytes. It is written as a number with an optional unit: 512, 64KiB, 32 MiB,
// 1GiB, or in powers of ten kB, MB, GB.
type Size int64

// sizeUnits in the order of reading: longer suffixes before the B that they end in.
var sizeUnits = []struct {
	suffix string
	bytes  int64
}{
	{"kib", 1 << 10}, {"mib", 1 << 20}, {"gib", 1 << 30},
	{"kb", 1e3}, {"mb", 1e6}, {"gb", 1e9}, {"b", 1},
}

// String gives the size with the largest unit that divides it.
func (s Size) String() string {
	for _, u := range []struct {
		name  string
		bytes Size
	}{{"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10}} {
		if s != 0 && s%u.bytes == 0 {
			return strconv.FormatInt(int64(s/u.bytes), 10) + u.name
		}
	}
	return strconv.FormatInt(int64(s), 10)
}

// ParseSize reads a size: a whole number that is not negative, and a unit.
func ParseSize(text string) (Size, error) {
	s, unit := strings.ToLower(strings.TrimSpace(text)), int64(1)
	for _, u := range sizeUnits {
		if head, ok := strings.CutSuffix(s, u.suffix); ok {
			s, unit = strings.TrimSpace(head), u.bytes
			break
		}
	}
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil || n < 0 || n > math.MaxInt64/unit {
		return 0, errors.New("expected a size such as 512KiB or 32MiB")
	}
	return Size(n * unit), nil
}

// ParseDuration reads what time.ParseDuration reads, and whole days: 90d.
func ParseDuration(text string) (time.Duration, error) {
	s := strings.TrimSpace(text)
	if days, ok := strings.CutSuffix(s, "d"); ok {
		const day, most = 24 * time.Hour, 100_000
		if n, err := strconv.Atoi(days); err == nil && n >= 0 && n <= most {
			return time.Duration(n) * day, nil
		}
		return 0, errors.New("expected whole days such as 90d")
	}
	d, err := time.ParseDuration(s)
	if err != nil || d < 0 {
		return 0, errors.New("expected a duration such as 500ms, 10s, 24h or 90d")
	}
	return d, nil
}

// setText reads a text into a leaf of the configuration and checks it against the bounds that
// the field's tags name.
func setText(v reflect.Value, tag reflect.StructTag, text string) error {
	switch p := v.Addr().Interface().(type) {
	case *string:
		*p = text
	case *Secret:
		*p = NewSecret(text)
	case *[]string:
		*p = splitList(text)
	case *bool:
		b, err := strconv.ParseBool(strings.TrimSpace(text))
		if err != nil {
			return errors.New("expected true or false")
		}
		*p = b
	case *int:
		n, err := strconv.Atoi(strings.TrimSpace(text))
		if err != nil {
			return errors.New("expected a whole number")
		}
		*p = n
	case *time.Duration:
		d, err := ParseDuration(text)
		if err != nil {
			return err
		}
		*p = d
	case **time.Duration:
		return setDuration(p, tag, text)
	case *time.Time:
		at, err := parseEnd(text)
		if err != nil {
			return err
		}
		*p = at
	case *Level:
		n, err := parseLevel(text)
		if err != nil {
			return err
		}
		*p = n
	case *Size:
		s, err := ParseSize(text)
		if err != nil {
			return err
		}
		*p = s
	default:
		return fmt.Errorf("expected a list of %s", v.Type().Elem().Name())
	}
	return checkBounds(v, tag)
}

// setDuration sets a duration that may be absent.
func setDuration(p **time.Duration, tag reflect.StructTag, text string) error {
	var d time.Duration
	if err := setText(reflect.ValueOf(&d).Elem(), tag, text); err != nil {
		return err
	}
	*p = &d
	return nil
}

// splitList reads a comma list. An empty text is the empty list.
func splitList(text string) []string {
	list := []string{}
	for part := range strings.SplitSeq(text, ",") {
		if part = strings.TrimSpace(part); part != "" {
			list = append(list, part)
		}
	}
	return list
}

// checkBounds holds a value against the tags min, max and oneof of its field.
func checkBounds(v reflect.Value, tag reflect.StructTag) error {
	if words := strings.Fields(tag.Get("oneof")); len(words) > 0 && !slices.Contains(words, v.String()) {
		return errors.New("expected one of " + strings.Join(words, ", "))
	}
	if !v.CanInt() {
		return nil
	}
	least, most := tag.Get("min"), tag.Get("max")
	if least == "" && v.Int() < 0 {
		least = "0"
	}
	if n, ok := boundOf(v, least); ok && v.Int() < n {
		return errors.New("expected at least " + least)
	}
	if n, ok := boundOf(v, most); ok && v.Int() > n {
		return errors.New("expected at most " + most)
	}
	return nil
}

// boundOf reads a bound in the unit of the value that it bounds.
func boundOf(v reflect.Value, text string) (int64, bool) {
	if text == "" {
		return 0, false
	}
	bound := reflect.New(v.Type()).Elem()
	if err := setText(bound, "", text); err != nil {
		return 0, false
	}
	return bound.Int(), true
}
