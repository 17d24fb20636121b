package main

import (
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"

	"github.com/ddltail/ddltail/internal/metrics"
)

// Set by the linker; a plain `go install` leaves them empty.
var version, commit string //nolint:gochecknoglobals // -ldflags -X knows no other place

// build describes this program, from the linker's values or the module's.
func build() metrics.Build {
	b := metrics.Build{Version: version, Commit: commit}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return b
	}
	if b.Version == "" {
		b.Version = info.Main.Version
	}
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" && b.Commit == "" {
			b.Commit = s.Value
		}
	}
	return b
}

func versionCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Print version, commit and Go release",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			_, err := fmt.Fprintln(cmd.OutOrStdout(), versionLine())
			return err
		},
	}
}

// versionLine is what `ddltail version` and `ddltail --version` print.
func versionLine() string {
	b := build()
	return fmt.Sprintf("ddltail %s (commit %s, %s)", orUnknown(b.Version), orUnknown(b.Commit), runtime.Version())
}

// notKnown is what a page or a report shows for what was not measured.
const notKnown = "not known"

func orUnknown(s string) string {
	if s == "" {
		return "unknown"
	}
	return s
}
