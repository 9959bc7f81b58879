package scenarios

import (
	"encoding"
	"fmt"
	"math"
	"reflect"
	"strconv"
	"time"
)

// scalarText spells a single value as the scenario file does.
func scalarText(value reflect.Value) (string, error) {
	if marshaler, ok := value.Interface().(encoding.TextMarshaler); ok {
		text, err := marshaler.MarshalText()
		return string(text), err
	}
	if duration, ok := value.Interface().(time.Duration); ok {
		if duration < 0 {
			return "", fmt.Errorf("duration %s is negative", duration)
		}
		return durationText(duration), nil
	}
	switch value.Kind() {
	case reflect.String:
		return value.String(), nil
	case reflect.Bool:
		return strconv.FormatBool(value.Bool()), nil
	case reflect.Int, reflect.Int64:
		return strconv.FormatInt(value.Int(), 10), nil
	case reflect.Uint64:
		return strconv.FormatUint(value.Uint(), 10), nil
	case reflect.Float64:
		x := value.Float()
		if math.IsNaN(x) || math.IsInf(x, 0) {
			return "", fmt.Errorf("%v is not a number that can be written", x)
		}
		return strconv.FormatFloat(x, 'g', -1, 64), nil
	}
	return "", fmt.Errorf("a value of type %s cannot be written", value.Type())
}

// spell is scalarText for messages.
func spell(value reflect.Value) string {
	text, err := scalarText(value)
	if err != nil {
		return fmt.Sprint(value.Interface())
	}
	return text
}

// durationText prints a duration without units that are zero: "1m" and "1h30m",
// not "1m0s" and "1h30m0s".
func durationText(d time.Duration) string {
	switch {
	case d == 0:
		return "0s"
	case d%time.Hour == 0:
		return strconv.FormatInt(int64(d/time.Hour), 10) + "h"
	case d%time.Minute == 0 && d < time.Hour:
		return strconv.FormatInt(int64(d/time.Minute), 10) + "m"
	case d%time.Minute == 0:
		return durationText(d.Truncate(time.Hour)) + durationText(d%time.Hour)
	}
	return d.String()
}
