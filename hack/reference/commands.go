package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"time"
)

const (
	// buildTimeout bounds the build of the plugin, which is cached after the first one.
	buildTimeout = 10 * time.Minute
	// helpTimeout bounds one command that prints its help.
	helpTimeout = 30 * time.Second
)

// plugin is the name of the command as users type it.
const plugin = "kubectl penstock"

// helped is one command of the plugin, and what its --help prints.
type helped struct {
	path string // such as kubectl penstock clusters add
	help string
}

// readCommands builds the plugin and asks each of its commands for help, so that neither the
// page needs the plugin's code nor the plugin the page's.
func readCommands(root string) ([]helped, error) {
	folder, err := os.MkdirTemp("", "reference")
	if err != nil {
		return nil, fmt.Errorf("make a folder for the plugin: %w", err)
	}
	defer func() { _ = os.RemoveAll(folder) }()
	binary := filepath.Join(folder, "kubectl-penstock")
	ctx, cancel := context.WithTimeout(context.Background(), buildTimeout)
	defer cancel()
	build := exec.CommandContext(ctx, "go", "build", "-o", binary, "./cmd/kubectl-penstock")
	build.Dir, build.Stderr = root, os.Stderr
	if err := build.Run(); err != nil {
		return nil, fmt.Errorf("build the plugin: %w", err)
	}
	return helpOf(binary, nil)
}

// helpOf asks the command of these words, and those below it.
func helpOf(binary string, words []string) ([]helped, error) {
	ctx, cancel := context.WithTimeout(context.Background(), helpTimeout)
	defer cancel()
	ask := exec.CommandContext(ctx, binary, append(words, "--help")...)
	ask.Env = []string{"HOME=" + filepath.Dir(binary)} // no $PENSTOCK_SERVER as the default of a flag
	printed, err := ask.Output()
	if err != nil {
		return nil, fmt.Errorf("ask %s %s for help: %w", plugin, strings.Join(words, " "), err)
	}
	all := []helped{{path: strings.Join(append([]string{plugin}, words...), " "), help: string(printed)}}
	for _, name := range below(string(printed)) {
		if name == "help" || name == "completion" { // cobra's own
			continue
		}
		further, err := helpOf(binary, append(words[:len(words):len(words)], name))
		if err != nil {
			return nil, err
		}
		all = append(all, further...)
	}
	return all, nil
}

var (
	available = regexp.MustCompile(`(?ms)^Available Commands:\n(.*?)\n\n`)
	// boilerplate is what each help has at its end: it stands on the page once.
	boilerplate = regexp.MustCompile(`(?ms)^(Global Flags:.*|Use "kubectl penstock.*)\z`)
)

// below are the names of the commands that a help lists.
func below(help string) (names []string) {
	block := available.FindStringSubmatch(help)
	if block == nil {
		return nil
	}
	for _, line := range strings.Split(block[1], "\n") {
		names = append(names, strings.Fields(line)[0])
	}
	return names
}

// commandsPage shows each command's help as it is printed.
func commandsPage(commands []helped) string {
	var text strings.Builder
	text.WriteString("# Commands of the plugin\n\nEach part is what `--help` prints. The flags of `kubectl penstock` itself are flags of every command.\n\n")
	for _, command := range commands[1:] {
		fmt.Fprintf(&text, "- [`%s`](#%s)\n", command.path, strings.ReplaceAll(command.path, " ", "-"))
	}
	for _, command := range commands {
		help := strings.TrimSpace(boilerplate.ReplaceAllString(command.help, ""))
		fmt.Fprintf(&text, "\n## %s\n\n```text\n%s\n```\n", command.path, help)
	}
	return text.String()
}
