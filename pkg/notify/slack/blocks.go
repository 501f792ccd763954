package slack

import (
	"fmt"
	"strings"

	slackapi "github.com/slack-go/slack"
	"github.com/slack-go/slack/slackutilsx"

	"github.com/penstock-cd/penstock/pkg/clip"
	"github.com/penstock-cd/penstock/pkg/notify"
)

// Slack's limits (docs.slack.dev/reference/block-kit/blocks and /methods/chat.postMessage), in
// characters, which are never more than bytes.
const (
	maxHeader  = 150
	maxSection = 3000
	maxBlocks  = 50
	maxText    = 4000
	// maxName bounds the name in a line, so that there is room for what is told of it.
	maxName = 300
)

var marks = map[notify.Level]string{notify.Success: "✅ ", notify.Failure: "❌ "}

// text is what a notification on a phone shows.
func text(message notify.Message) string {
	return escape(marks[message.Level]+message.Title, maxText)
}

// blocks render a message. A block is never over Slack's limits, and nothing from outside is
// read as a mention, a link or another command.
func blocks(message notify.Message) []slackapi.Block {
	title := clip.Text(marks[message.Level]+message.Title, maxHeader)
	all := []slackapi.Block{slackapi.NewHeaderBlock(slackapi.NewTextBlockObject(slackapi.PlainTextType, title, false, false))}
	lines, omitted := detailLines(message)
	for _, section := range sections(lines) {
		all = append(all, markdown(section))
	}
	if omitted > 0 {
		all = append(all, markdown(fmt.Sprintf("and %d more", omitted)))
	}
	if footer := footer(message); footer != "" {
		all = append(all, markdown(footer))
	}
	return all
}

// maxDetails leaves room for the title, what was left out, and the footer, where each detail
// has a section of its own.
const maxDetails = maxBlocks - 3

func detailLines(message notify.Message) (lines []string, omitted int) {
	details := message.Details[:min(len(message.Details), maxDetails)]
	for _, detail := range details {
		name := "*" + escape(detail.Name, maxName) + "*"
		if link := link(detail.URL, detail.Name); link != "" {
			name = link
		}
		lines = append(lines, name+": "+escape(detail.Text, maxSection-len(name)-2))
	}
	return lines, message.Omitted + len(message.Details) - len(details)
}

// sections joins as many lines as fit into each section.
func sections(lines []string) (all []string) {
	for _, line := range lines {
		if last := len(all) - 1; last >= 0 && len(all[last])+1+len(line) <= maxSection {
			all[last] += "\n" + line
			continue
		}
		all = append(all, line)
	}
	return all
}

func footer(message notify.Message) string {
	var parts []string
	if link := link(message.URL, "open"); link != "" {
		parts = append(parts, link)
	}
	for _, command := range message.Commands {
		parts = append(parts, "`"+strings.ReplaceAll(escape(command, maxName), "`", "'")+"`")
	}
	for len(strings.Join(parts, "  ")) > maxSection {
		parts = parts[:len(parts)-1]
	}
	return strings.Join(parts, "  ")
}

// link is a link, or empty where the URL is none that Slack shows whole.
func link(url, label string) string {
	if !strings.HasPrefix(url, "https://") && !strings.HasPrefix(url, "http://") || len(url) > maxName || strings.ContainsAny(url, "<>| \n") {
		return ""
	}
	return "<" + strings.ReplaceAll(url, "&", "&amp;") + "|" + strings.ReplaceAll(escape(label, maxName), "|", "/") + ">"
}

func markdown(text string) slackapi.Block {
	return slackapi.NewSectionBlock(slackapi.NewTextBlockObject(slackapi.MarkdownType, text, false, true), nil, nil)
}

// escape makes foreign text inert, on one line and at most so many bytes long. No escape is
// cut in two.
func escape(text string, most int) string {
	text = strings.Join(strings.Fields(text), " ")
	if escaped := slackutilsx.EscapeMessage(text); len(escaped) <= most {
		return escaped
	}
	var cut strings.Builder
	for _, character := range text {
		escaped := slackutilsx.EscapeMessage(string(character))
		if cut.Len()+len(escaped)+len("…") > most {
			break
		}
		cut.WriteString(escaped)
	}
	return cut.String() + "…"
}
