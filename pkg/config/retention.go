package config

import (
	"cmp"
	"errors"
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"time"
)

const (
	day = 24 * time.Hour
	// mostRetention bounds what is not 0; the least is the field's own.
	mostRetention = 10 * 365 * day
)

// Retention is for how long something is kept; 0 keeps it.
type Retention time.Duration

// UnmarshalText reads days (90d), or a duration as package time writes it (36h).
func (r *Retention) UnmarshalText(text []byte) error {
	if days, isDays := strings.CutSuffix(string(text), "d"); isDays {
		number, err := strconv.ParseUint(days, 10, 16)
		if err != nil {
			return errors.New("not a number of days")
		}
		*r = Retention(time.Duration(number) * day)
		return nil
	}
	duration, err := time.ParseDuration(string(text))
	if err != nil {
		return errors.New("not a duration")
	}
	*r = Retention(duration)
	return nil
}

// String is what UnmarshalText reads.
func (r Retention) String() string {
	if duration := time.Duration(r); duration%day != 0 {
		return duration.String()
	}
	return strconv.FormatInt(int64(time.Duration(r)/day), 10) + "d"
}

func retentionRule(tag reflect.StructTag) rule {
	least := must(time.ParseDuration(tag.Get("min")))
	return rule{
		allowed: fmt.Sprintf("0, or a time from %s to %s, such as %s", tag.Get("min"), Retention(mostRetention), cmp.Or(tag.Get("example"), tag.Get("envDefault"))),
		holds: func(value reflect.Value) bool {
			retention := time.Duration(value.Int())
			return retention == 0 || (retention >= least && retention <= mostRetention)
		},
	}
}
