package main

import (
	"fmt"
	"strings"

	"github.com/penstock-cd/penstock/pkg/config"
)

// ofServer begins the meaning of a variable that the controller does not read.
const ofServer = "penstock server: "

// variablesPage lists the environment of the controller and the server.
func variablesPage() string {
	var text strings.Builder
	fmt.Fprintf(&text, "# Environment variables\n\n"+
		"`penstock controller --help` and `penstock server --help` print them too. The chart sets them by `env` and `server.env`. "+
		"Those that are *live* can also be keys of the ConfigMap `%s`, which go before the environment while the controller runs "+
		"([Tuning](../tuning.md)). A variable that is unset or empty has its default; a value that is not allowed stops the start.\n", config.SettingsMap)
	text.WriteString("\n## Controller\n\nThe server reads those that concern it as well, such as `DATABASE_URL`, `LOG_LEVEL` and `RESOURCE_KINDS`.\n\n")
	writeVariables(&text, false)
	text.WriteString("\n## Server alone\n\n")
	writeVariables(&text, true)
	return text.String()
}

func writeVariables(text *strings.Builder, server bool) {
	text.WriteString("| variable | default | live | value | meaning |\n|---|---|---|---|---|\n")
	for _, v := range config.Variables() {
		meaning, isServers := strings.CutPrefix(v.Meaning, ofServer)
		if isServers != server {
			continue
		}
		defaultValue, live := "–", ""
		if v.Default != "" {
			defaultValue = "`" + v.Default + "`"
		}
		if v.Live {
			live = "live"
		}
		fmt.Fprintf(text, "| `%s` | %s | %s | %s | %s |\n", v.Name, cell(defaultValue), live, cell(v.Allowed), cell(meaning))
	}
}
