package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	tea "charm.land/bubbletea/v2"
	"charm.land/lipgloss/v2"
	"github.com/spf13/cobra"
)

// screen is what bubbletea draws: the last frame, or why there is none.
type screen struct {
	ctx     context.Context //nolint:containedctx // bubbletea's commands take none
	watched *watched
	frame   []topLine
	err     error
	width   int
}

// seenMsg is what one look has brought.
type seenMsg struct {
	frame []topLine
	err   error
}

// dueMsg is that it is time for the next look.
type dueMsg struct{}

// show draws until q, or an interrupt.
func (w *watched) show(command *cobra.Command) error {
	ctx, cancel := context.WithCancel(command.Context())
	defer cancel() // a look that is under way is not waited for
	program := tea.NewProgram(&screen{ctx: ctx, watched: w}, tea.WithContext(ctx), tea.WithInput(command.InOrStdin()), tea.WithOutput(command.OutOrStdout()))
	_, err := program.Run()
	if ctx.Err() != nil || errors.Is(err, tea.ErrInterrupted) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("draw the screen: %w", err)
	}
	return nil
}

// Init implements tea.Model.
func (s *screen) Init() tea.Cmd { return s.look }

// look runs beside the drawing; there is one at a time.
func (s *screen) look() tea.Msg {
	summary, err := s.watched.look(s.ctx)
	if err != nil {
		return seenMsg{err: err}
	}
	return seenMsg{frame: frameOf(summary, s.watched.limits.known, s.watched.limits.why, summary.At)}
}

// Update implements tea.Model.
func (s *screen) Update(message tea.Msg) (tea.Model, tea.Cmd) {
	switch message := message.(type) {
	case tea.KeyPressMsg:
		switch message.String() {
		case "q", "esc", "ctrl+c":
			return s, tea.Quit
		}
	case tea.WindowSizeMsg:
		s.width = message.Width
	case dueMsg:
		return s, s.look
	case seenMsg:
		if s.err = message.err; message.err == nil {
			s.frame = message.frame
		}
		return s, tea.Tick(s.watched.interval(), func(time.Time) tea.Msg { return dueMsg{} })
	}
	return s, nil
}

var (
	labelStyle  = lipgloss.NewStyle().Bold(true).Width(10)
	moodStyles  = map[mood]lipgloss.Style{busy: lipgloss.NewStyle().Foreground(lipgloss.Yellow), wrong: lipgloss.NewStyle().Foreground(lipgloss.Red)}
	footerStyle = lipgloss.NewStyle().Faint(true)
)

// View implements tea.Model.
func (s *screen) View() tea.View {
	var text strings.Builder
	for _, line := range s.frame {
		content := printable(line.text)
		if room := s.width - 10; room > 0 {
			content = cut(content, room)
		}
		if style, marked := moodStyles[line.mood]; marked {
			content = style.Render(content)
		}
		text.WriteString(labelStyle.Render(line.label) + content + "\n")
	}
	if len(s.frame) == 0 && s.err == nil {
		text.WriteString("asking penstock server …\n")
	}
	if s.err != nil {
		text.WriteString(moodStyles[wrong].Render(printable(s.err.Error())) + "\n")
	}
	text.WriteString(footerStyle.Render("q ends"))
	view := tea.NewView(text.String())
	view.AltScreen = true
	return view
}

// cut shortens a line to the screen's width.
func cut(text string, width int) string {
	runes := []rune(text)
	if len(runes) <= width {
		return text
	}
	return string(runes[:max(width-1, 0)]) + "…"
}
