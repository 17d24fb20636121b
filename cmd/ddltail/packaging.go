//go:build packaging

package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/cobra/doc"
)

// packagingCommands write the files of a package other than the program.
func packagingCommands() []*cobra.Command {
	return []*cobra.Command{{
		Use:    "packaging DIR",
		Short:  "Write man pages and completions for packages",
		Hidden: true,
		Args:   cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			root := cmd.Root()
			root.RemoveCommand(cmd)
			if err := writeManual(root, filepath.Join(args[0], "man1")); err != nil {
				return err
			}
			return writeCompletions(root, filepath.Join(args[0], "completions"))
		},
	}}
}

// writeManual writes a page for each command. Its date is SOURCE_DATE_EPOCH.
func writeManual(root *cobra.Command, dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil { //nolint:gosec // packaged files are readable by all
		return fmt.Errorf("create the folder of man pages: %w", err)
	}
	root.DisableAutoGenTag = true
	formatEnvironment(root)
	header := &doc.GenManHeader{Section: "1", Source: "ddltail", Manual: "ddltail"}
	if err := doc.GenManTree(root, header, dir); err != nil {
		return fmt.Errorf("write man pages to %s: %w", dir, err)
	}
	return nil
}

// formatEnvironment turns the variables in the long help, two lines each, into the
// paragraphs of a definition list.
func formatEnvironment(cmd *cobra.Command) {
	text, environment, found := strings.Cut(cmd.Long, "\nEnvironment:\n")
	if found {
		var list strings.Builder
		for line := range strings.Lines(environment) {
			if name, ok := strings.CutPrefix(line, "        "); ok {
				fmt.Fprintf(&list, ": %s\n", escape(name))
			} else {
				fmt.Fprintf(&list, "%s\n", escape(strings.ReplaceAll(strings.TrimPrefix(line, "  "), " ()", "")))
			}
		}
		cmd.Long = text + "\n# ENVIRONMENT\n" + list.String()
	}
	for _, sub := range cmd.Commands() {
		formatEnvironment(sub)
	}
}

// escape keeps markdown from reading a name such as DDLTAIL_HTTP_ADDR as emphasis.
func escape(text string) string {
	return strings.NewReplacer("_", `\_`, "*", `\*`, "<", `\<`).Replace(strings.TrimSuffix(text, "\n")) + "\n"
}

// writeCompletions writes each file under the name by which its shell finds it.
func writeCompletions(root *cobra.Command, dir string) error {
	for path, write := range map[string]func(string) error{
		"bash/ddltail":      func(path string) error { return root.GenBashCompletionFileV2(path, true) },
		"zsh/_ddltail":      root.GenZshCompletionFile,
		"fish/ddltail.fish": func(path string) error { return root.GenFishCompletionFile(path, true) },
	} {
		path = filepath.Join(dir, path)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil { //nolint:gosec // packaged files are readable by all
			return fmt.Errorf("create the folder of completions: %w", err)
		}
		if err := write(path); err != nil {
			return fmt.Errorf("write completions to %s: %w", path, err)
		}
	}
	return nil
}
