// Command ddltail reports the schema changes of a MongoDB replica set.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/ddltail/ddltail/internal/config"
	"github.com/ddltail/ddltail/internal/privileges"
)

// Exit codes.
const (
	exitFailed = 1
	exitUsage  = 2
	exitDrift  = 3
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	os.Exit(execute(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

// execute runs one command line and returns the process's exit code.
func execute(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	started := false
	root := rootCommand()
	root.PersistentPreRun = func(*cobra.Command, []string) { started = true }
	root.SetArgs(args)
	root.SetOut(stdout)
	root.SetErr(stderr)
	cmd, err := root.ExecuteContextC(ctx)
	if err == nil {
		return 0
	}
	switch {
	case errors.Is(err, errDrift):
		return exitDrift
	case ctx.Err() != nil && errors.Is(err, context.Canceled):
		if isDaemon(cmd) {
			return 0
		}
		err = errors.New("interrupted before completion")
	case !started:
		err = wrongUsage{err, cmd.UseLine()}
	}
	report(stderr, err, logs(cmd))
	if !started || isConfiguration(err) {
		return exitUsage
	}
	return exitFailed
}

// rootCommand returns the whole command line.
func rootCommand() *cobra.Command {
	root := &cobra.Command{
		Use:           "ddltail COMMAND",
		Short:         "Report the schema changes of a MongoDB replica set",
		Long:          "ddltail tails a MongoDB replica set's oplog and reports every schema change.\nIt is configured by environment variables; see `ddltail run --help`.",
		SilenceErrors: true,
		SilenceUsage:  true,
	}
	root.AddCommand(runCommand(), listenCommand(), notifyCommand(), setupCommand(), cleanupCommand(),
		redeliverCommand(), historyCommand(), receiversCommand(), statusCommand(), driftCommand(), captureCommand(), versionCommand())
	root.AddCommand(packagingCommands()...)
	addEnvironment(root)
	addCompletion(root)
	root.Version = versionLine()
	root.SetVersionTemplate("{{.Version}}\n")
	return root
}

// wrongUsage is an error in the command line.
type wrongUsage struct {
	error
	usage string
}

func (w wrongUsage) Unwrap() error { return w.error }

// isDaemon reports whether a command runs until it is stopped.
func isDaemon(cmd *cobra.Command) bool { return slices.Contains([]string{"run", "listen"}, cmd.Name()) }

// logs reports whether errors are written as JSON log lines: by default for a daemon, and
// for any command if DDLTAIL_LOG_FORMAT selects JSON.
func logs(cmd *cobra.Command) bool {
	format := strings.TrimSpace(os.Getenv("DDLTAIL_LOG_FORMAT"))
	return logsJSON(format) && (format != "" || isDaemon(cmd))
}

// report prints the errors, one per line.
func report(w io.Writer, err error, json bool) {
	texts := []string{oneLine(privileges.Short(err))}
	var mistakes config.Errors
	if errors.As(err, &mistakes) {
		texts = nil
		for _, m := range mistakes {
			texts = append(texts, m.Error())
		}
	}
	var usage wrongUsage
	_ = errors.As(err, &usage)
	if json {
		reportJSON(w, texts, usage.usage)
		return
	}
	for _, text := range texts {
		fmt.Fprintf(w, "ddltail: %s\n", text)
	}
	if usage.usage != "" {
		fmt.Fprintf(w, "usage: %s\n", usage.usage)
	}
}

// oneLine joins the lines of a text with semicolons, but not after a question: cobra writes
// its suggestion on the next line.
func oneLine(text string) string {
	var lines []string
	for line := range strings.Lines(text) {
		if line = strings.TrimSpace(line); line != "" {
			lines = append(lines, line)
		}
	}
	return strings.ReplaceAll(strings.Join(lines, "; "), "?; ", "? ")
}

func isConfiguration(err error) bool {
	var one *config.Error
	var all config.Errors
	return errors.As(err, &one) || errors.As(err, &all)
}
