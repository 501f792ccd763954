package webhook

import (
	"regexp"
	"strings"
)

// commitPattern is a commit's name in SHA-1 or SHA-256.
var commitPattern = regexp.MustCompile(`^([0-9a-f]{40}|[0-9a-f]{64})$`)

// notInRefs is what git takes in no name of a branch or tag. See git-check-ref-format(1).
var notInRefs = regexp.MustCompile(`[\x00-\x20\x7f~^:?*\[\\]|\.\.|//|@\{|(^|/)\.|\.lock(/|$)|^[-/]|[/.]$|^@?$`)

// isNothing tells whether a commit is all zeros: the branch or tag is gone, or was not there.
func isNothing(commit string) bool { return commit != "" && strings.Trim(commit, "0") == "" }

// pushedRef makes the event a push of a full reference such as refs/heads/main. Only the full
// name tells a tag from a branch of the same name.
func (e Event) pushedRef(ref, commit string, deleted bool, all []Repository) (Event, error) {
	e = e.ordered(orderOf(all))
	branch, isBranch := strings.CutPrefix(ref, "refs/heads/")
	tag, isTag := strings.CutPrefix(ref, "refs/tags/")
	name := branch
	if isTag {
		name = tag
	}
	switch {
	case !isBranch && !isTag:
		return e.ignored("neither a branch nor a tag"), nil
	case (deleted || isNothing(commit)) && isTag:
		return e.ignored("tag deletion"), nil
	case deleted || isNothing(commit):
		return e.ignored("branch deletion"), nil
	case !commitPattern.MatchString(commit):
		return e, malformed("the push names no commit")
	case len(all) == 0:
		return e, malformed("the push names no repository")
	case notInRefs.MatchString(name):
		return e, malformed("the push names %q, which git takes neither as a branch nor as a tag", ref)
	}
	e.Kind, e.Push = Pushed, Push{Repositories: all, Ref: name, IsTag: isTag, Commit: commit}
	return e, nil
}
