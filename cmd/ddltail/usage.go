package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/ddltail/ddltail/internal/config"
)

// addEnvironment adds to the help of each command the variables that it reads.
func addEnvironment(root *cobra.Command) {
	for _, cmd := range root.Commands() {
		if slices.Contains([]string{"version", "completion", "help"}, cmd.Name()) {
			continue
		}
		text := usage(cmd.Name())
		for _, c := range append([]*cobra.Command{cmd}, cmd.Commands()...) {
			if c.Long == "" {
				c.Long = c.Short + "."
			}
			c.Long += "\n\nEnvironment:\n" + text
		}
	}
}

// usage describes the variables of a command.
func usage(command string) string {
	var text strings.Builder
	for _, v := range config.Variables() {
		if v.Concerns(command) {
			fmt.Fprintf(&text, "  %s (%s)\n        %s\n", v.Name, v.Default, v.Description)
		}
	}
	return text.String()
}
