package trigger

import (
	"crypto/sha256"
	"encoding/base32"
	"strconv"
	"strings"
)

// MaxNameLength bounds every Workflow's name, so that Argo can use it as a label
// value and derive pod names from it.
const MaxNameLength = 63

// MaxLabelLength is the longest value that Kubernetes allows for a label.
const MaxLabelLength = 63

// suffixLength is how many characters of the identity end a Workflow's name: 16
// of base32 are 80 bits, so that a billion names collide with a chance of 4·10⁻⁷.
const suffixLength = 16

var lowerBase32 = base32.NewEncoding("abcdefghijklmnopqrstuvwxyz234567").WithPadding(base32.NoPadding)

// Identity is what makes a Workflow the one of its task. Two Workflows of equal
// identity are the same Workflow. A run that is given all artifacts has no image and
// no digest in it.
type Identity struct {
	BuildUID    string
	Image       string
	Digest      string
	PipelineUID string
	Run         int32
	Stage       Stage
	// Attempt counts the Workflows of the stage from 1 on; 0 means 1.
	Attempt int32
}

// Hash returns 52 characters of lower-case base32 (SHA-256 over the fields, each
// preceded by its length so that no two identities share an encoding). It is a
// valid label value.
func (i Identity) Hash() string {
	fields := []string{i.BuildUID, i.Image, i.Digest, i.PipelineUID, strconv.Itoa(int(i.Run)), string(i.Stage)}
	if i.Attempt > 1 {
		fields = append(fields, strconv.Itoa(int(i.Attempt)))
	}
	digest := sha256.New()
	for _, field := range fields {
		digest.Write([]byte(strconv.Itoa(len(field)) + ":" + field))
	}
	return lowerBase32.EncodeToString(digest.Sum(nil))
}

// WorkflowName returns the name of the Workflow with this identity: the
// pipeline's name, shortened, the stage, and part of the identity's hash. It is a
// pure function of its input, a DNS label, and at most MaxNameLength long.
func WorkflowName(pipeline string, identity Identity) string {
	suffix := "-" + strings.ToLower(string(identity.Stage)) + "-" + identity.Hash()[:suffixLength]
	return dnsLabel(pipeline, MaxNameLength-len(suffix)) + suffix
}

// HasDerivedName tells whether a Workflow's name ends as that of the task with this hash
// does: a copy that somebody made has another name.
func HasDerivedName(name, hash string) bool {
	return len(hash) >= suffixLength && strings.HasSuffix(name, "-"+hash[:suffixLength])
}

// IsBuildName tells whether the Workflow of this name runs a build.
func IsBuildName(workflow string) bool {
	before, _ := strings.CutSuffix(workflow[:max(len(workflow)-suffixLength, 0)], "-")
	return strings.HasSuffix(before, "-"+strings.ToLower(string(StageBuild)))
}

// maxRuns and maxAttempts bound what FindIdentity tries.
const maxRuns, maxAttempts = 20, 40

// FindIdentity returns the identity with this hash, of which all is known but the run and
// the attempt, and whether the run was given all artifacts; false where there is none.
func FindIdentity(hash string, known Identity) (Identity, bool) {
	all := known
	all.Image, all.Digest = "", ""
	for _, identity := range []Identity{known, all} {
		for identity.Run = 1; identity.Run <= maxRuns; identity.Run++ {
			for identity.Attempt = 1; identity.Attempt <= maxAttempts; identity.Attempt++ {
				if identity.Hash() == hash {
					return identity, true
				}
			}
		}
	}
	return Identity{}, false
}

// LabelValue returns the text as a valid label value, shortened to
// MaxLabelLength.
func LabelValue(text string) string {
	if len(text) > MaxLabelLength {
		text = text[:MaxLabelLength]
	}
	return strings.TrimRight(text, "-._")
}

// dnsLabel returns the start of a DNS subdomain name as the start of a DNS label.
func dnsLabel(name string, most int) string {
	label := strings.ReplaceAll(name, ".", "-")
	if len(label) > most {
		label = label[:most]
	}
	return strings.TrimRight(label, "-")
}
