package delivery

import (
	"cmp"
	"fmt"
	"reflect"
	"regexp"
	"strconv"
	"time"

	"go.yaml.in/yaml/v3"
)

var durationType = reflect.TypeFor[time.Duration]()

// durationPattern is how a duration is written.
const durationPattern = `^([0-9]+(h|m|s|ms))+$`

var durationText = regexp.MustCompile(durationPattern)

// duration reads a duration, which always has a unit.
func (d *decoder) duration(n *yaml.Node, v reflect.Value, at string, line int) {
	if n.Kind == yaml.ScalarNode && durationText.MatchString(n.Value) {
		if length, err := time.ParseDuration(n.Value); err == nil {
			v.SetInt(int64(length))
			return
		}
	}
	d.fail(line, "%s must be a duration with units, such as 90s, 10m or 1h30m (a day is 24h)", at)
}

// integer reads a whole number.
func (d *decoder) integer(n *yaml.Node, v reflect.Value, at string, line int) {
	if n.Kind == yaml.ScalarNode && n.Tag == "!!int" {
		if number, err := strconv.Atoi(n.Value); err == nil {
			v.SetInt(int64(number))
			return
		}
	}
	d.fail(line, "%s must be a whole number, without quotes", at)
}

// bounds refuses a number or a duration, also one in a list, that is too small or too large.
func (d *decoder) bounds(f field, v reflect.Value, at string) {
	switch v.Kind() {
	case reflect.Pointer:
		d.bounds(f, v.Elem(), at)
	case reflect.Slice:
		for i := range v.Len() {
			d.bounds(f, v.Index(i), at+"["+strconv.Itoa(i)+"]")
		}
	default:
		if cmp.Compare(v.Int(), f.number(v.Type(), f.min)) < 0 || cmp.Compare(v.Int(), f.number(v.Type(), f.max)) > 0 {
			d.fail(d.line(at), "%s must be from %s to %s", at, f.min, f.max)
		}
	}
}

// setStandard sets a number or a duration to what it is by default. A pointer stays nil, so that files can be merged.
func (f field) setStandard(v reflect.Value) {
	if v.Kind() == reflect.Int || v.Type() == durationType {
		v.SetInt(f.number(v.Type(), f.standard))
	}
}

// number reads a number or a duration of a tag.
func (f field) number(t reflect.Type, text string) int64 {
	if t == durationType {
		if length, err := time.ParseDuration(text); err == nil {
			return int64(length)
		}
	} else if number, err := strconv.ParseInt(text, 10, 64); err == nil {
		return number
	}
	panic(fmt.Sprintf("delivery: the tag of field %s holds %q, which is no %s", f.name, text, t)) // a test reads every tag
}
