package config

import (
	"errors"
	"fmt"
	"reflect"
	"strconv"
)

// auto is the batch size that the process finds by itself.
const auto = "auto"

// BatchSize is a number of triggers in flight, or the wish to have it found.
type BatchSize struct {
	// Auto means that the size moves between 1 and Config.BatchSizeCeiling.
	Auto bool
	// Size is 0 with Auto, and at least 1 after Load.
	Size int
}

// UnmarshalText reads a whole number or "auto".
func (b *BatchSize) UnmarshalText(text []byte) error {
	if string(text) == auto {
		*b = BatchSize{Auto: true}
		return nil
	}
	size, err := strconv.Atoi(string(text))
	if err != nil {
		return errors.New("not a whole number")
	}
	*b = BatchSize{Size: size}
	return nil
}

// String is what UnmarshalText reads.
func (b BatchSize) String() string {
	if b.Auto {
		return auto
	}
	return strconv.Itoa(b.Size)
}

func batchSizeRule(tag reflect.StructTag) rule {
	most := must(strconv.Atoi(tag.Get("max")))
	return rule{
		allowed: fmt.Sprintf("a whole number up to %d, or %s", most, auto),
		holds: func(value reflect.Value) bool {
			size, ok := value.Interface().(BatchSize)
			return ok && size.Size <= most
		},
	}
}

// raiseBatchSize makes a batch size below 1 a 1, and says so.
func (c *Config) raiseBatchSize() []string {
	if c.BatchSize.Auto || c.BatchSize.Size >= 1 {
		return nil
	}
	warning := fmt.Sprintf("CI_SUCCESS_AUTO_TRIGGER_BATCH_SIZE=%s is below 1: using 1", c.BatchSize)
	c.BatchSize.Size = 1
	return []string{warning}
}
