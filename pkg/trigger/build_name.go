package trigger

import (
	"crypto/sha256"
	"strconv"
)

// BuildName returns the name of the CiBuild that a machine makes of a pipeline for a reason,
// which identity tells apart from all others, and the hash of the identity: a valid label value.
// It is a pure function of its input, so that a build that is made twice is made once. The name
// is a DNS label, and at most MaxNameLength long.
func BuildName(pipeline string, identity ...string) (name, hash string) {
	digest := sha256.New()
	for _, part := range append([]string{pipeline}, identity...) {
		digest.Write([]byte(strconv.Itoa(len(part)) + ":" + part))
	}
	hash = lowerBase32.EncodeToString(digest.Sum(nil))
	suffix := "-" + hash[:suffixLength]
	return dnsLabel(pipeline, MaxNameLength-len(suffix)) + suffix, hash
}
