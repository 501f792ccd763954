package enroll

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"

	"k8s.io/apimachinery/pkg/util/validation"
)

// hashLength is how many characters of a hash end a name that was cut.
const hashLength = 8

// NameOf returns a valid name for a TargetCluster and its Secret, always the same for the same
// text: in lower case, with a dash in place of what a name may not hold. Different texts may
// have the same name. The error is for a text without any letter or digit of ASCII.
func NameOf(text string) (string, error) {
	dashed := strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' || r == '.' {
			return r
		}
		return '-'
	}, strings.ToLower(text))
	var labels []string
	for label := range strings.SplitSeq(dashed, ".") {
		if words := strings.FieldsFunc(label, func(r rune) bool { return r == '-' }); len(words) > 0 {
			labels = append(labels, strings.Join(words, "-"))
		}
	}
	name := strings.Join(labels, ".")
	if name == "" {
		return "", fmt.Errorf("%q has no letter and no digit that a name could be made of", text)
	}
	if len(name) <= validation.DNS1123SubdomainMaxLength {
		return name, nil
	}
	sum := sha256.Sum256([]byte(text))
	kept := strings.TrimRight(name[:validation.DNS1123SubdomainMaxLength-hashLength-1], "-.")
	return kept + "-" + hex.EncodeToString(sum[:])[:hashLength], nil
}

// IsName tells whether a text is a valid name as it is.
func IsName(text string) bool { return len(validation.IsDNS1123Subdomain(text)) == 0 }
