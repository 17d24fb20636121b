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
	if errors.Is(err, errDrift) {
		return exitDrift
	}
	report(stderr, err, started && logs(cmd))
	if !started {
		fmt.Fprintf(stderr, "usage: %s\n", cmd.UseLine())
		return exitUsage
	}
	if isConfiguration(err) {
		return exitUsage
	}
	return exitFailed
}

// rootCommand returns the whole command line.
func rootCommand() *cobra.Command {
	root := &cobra.Command{
		Use:           "ddltail",
		Short:         "Report the schema changes of a MongoDB replica set",
		Long:          "ddltail tails a MongoDB replica set's oplog and reports every schema change.\nIt is configured by environment variables; see `ddltail run --help`.",
		SilenceErrors: true,
		SilenceUsage:  true,
	}
	root.AddCommand(runCommand(), listenCommand(), notifyCommand(), setupCommand(), cleanupCommand(),
		redeliverCommand(), historyCommand(), receiversCommand(), statusCommand(), driftCommand(), versionCommand())
	root.AddCommand(packagingCommands()...)
	addEnvironment(root)
	addCompletion(root)
	root.Version = versionLine()
	root.SetVersionTemplate("{{.Version}}\n")
	return root
}

// logs reports whether stderr is only the command's log, and that log is JSON: a person
// reads the errors of the others.
func logs(cmd *cobra.Command) bool {
	return slices.Contains([]string{"run", "listen"}, cmd.Name()) && logsJSON(strings.TrimSpace(os.Getenv("DDLTAIL_LOG_FORMAT")))
}

// report prints the errors, one on a line.
func report(w io.Writer, err error, json bool) {
	texts := []string{oneLine(err.Error())}
	var mistakes config.Errors
	if errors.As(err, &mistakes) {
		texts = nil
		for _, m := range mistakes {
			texts = append(texts, m.Error())
		}
	}
	if json {
		reportJSON(w, texts)
		return
	}
	for _, text := range texts {
		fmt.Fprintf(w, "ddltail: %s\n", text)
	}
}

// oneLine joins the lines of a text; a suggestion follows its question without a mark.
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
