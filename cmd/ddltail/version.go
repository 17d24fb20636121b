package main

import (
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"

	"github.com/ddltail/ddltail/internal/metrics"
)

// Set by the linker; a plain `go install` leaves them empty.
var version, commit string //nolint:gochecknoglobals // -ldflags -X sets only globals

// build returns the version of this program, from the linker flags or the module.
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

// versionLine returns the output of `ddltail version` and `ddltail --version`.
func versionLine() string {
	b := build()
	return fmt.Sprintf("ddltail %s (commit %s, %s)", orUnknown(b.Version), orUnknown(b.Commit), runtime.Version())
}

// notKnown is shown for a value that was not measured.
const notKnown = "not known"

func orUnknown(s string) string {
	if s == "" {
		return "unknown"
	}
	return s
}
