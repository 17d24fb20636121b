package main

import (
	"context"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/ddltail/ddltail/internal/config"
	"github.com/ddltail/ddltail/internal/history"
	"github.com/ddltail/ddltail/internal/notification"
	"github.com/ddltail/ddltail/internal/risk"
	"github.com/ddltail/ddltail/internal/store"
)

// completionLimit bounds how long a shell waits for values from the sink.
const completionLimit = 2 * time.Second

type completion = func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective)

// addCompletion lets a shell complete the values of flags.
func addCompletion(root *cobra.Command) {
	values := map[string]completion{
		"operation": completeWith(names(notification.Operations())...),
		"risk":      completeWith(names(risk.All())...),
		"receiver":  receiverNames,
		"source":    completeStored(func(ctx context.Context, r history.Reader) ([]string, error) { return r.Sources(ctx) }),
		"ns":        completeStored(func(ctx context.Context, r history.Reader) ([]string, error) { return r.Namespaces(ctx) }),
	}
	formats := map[string][]string{
		"history": {"table", "json", "mongosh", "csv"}, "show": {"table", "json", "mongosh"}, "diff": {"table", "json", "mongosh"},
		"status": {"table", "json"}, "drift": {"table", "json", "mongosh", "junit"},
	}
	var add func(*cobra.Command)
	add = func(cmd *cobra.Command) {
		for flag, complete := range values {
			if cmd.LocalFlags().Lookup(flag) != nil {
				// It fails only for a flag that does not exist, or is registered twice.
				_ = cmd.RegisterFlagCompletionFunc(flag, complete)
			}
		}
		if all, ok := formats[cmd.Name()]; ok {
			_ = cmd.RegisterFlagCompletionFunc("format", completeWith(all...))
		}
		switch {
		case cmd.Name() == "notify":
			cmd.ValidArgsFunction = onlyFirst(completeWith(names(notification.Operations())...))
		case cmd.HasParent() && cmd.Parent().Name() == "receivers":
			cmd.ValidArgsFunction = onlyFirst(receiverNames)
		}
		for _, sub := range cmd.Commands() {
			add(sub)
		}
	}
	add(root)
}

func names[T ~string](values []T) []string {
	all := make([]string, len(values))
	for i, v := range values {
		all[i] = string(v)
	}
	return all
}

// completeWith offers a fixed list of values.
func completeWith(values ...string) completion {
	return func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
		return values, cobra.ShellCompDirectiveNoFileComp
	}
}

// onlyFirst completes only the first argument.
func onlyFirst(complete completion) completion {
	return func(cmd *cobra.Command, args []string, prefix string) ([]string, cobra.ShellCompDirective) {
		if len(args) > 0 {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		return complete(cmd, args, prefix)
	}
}

// receiverNames completes the names of the configured receivers.
func receiverNames(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
	cfg, err := config.Load(time.Now())
	if err != nil {
		return nil, cobra.ShellCompDirectiveError
	}
	all, err := allReceivers(cfg)
	if err != nil {
		return nil, cobra.ShellCompDirectiveError
	}
	var found []string
	for _, r := range all {
		found = append(found, r.Name)
		r.Close()
	}
	return found, cobra.ShellCompDirectiveNoFileComp
}

// completeStored offers values that are stored in the sink's database.
func completeStored(read func(context.Context, history.Reader) ([]string, error)) completion {
	return func(cmd *cobra.Command, _ []string, _ string) ([]string, cobra.ShellCompDirective) {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(commandContext(cmd)), completionLimit)
		defer cancel()
		cfg, err := config.Load(time.Now())
		if err != nil {
			return nil, cobra.ShellCompDirectiveError
		}
		client, err := store.Connect(cfg.Sink.Options())
		if err != nil {
			return nil, cobra.ShellCompDirectiveError
		}
		defer disconnect(client)
		found, err := read(ctx, history.NewReader(client.Database(cfg.Database)))
		if err != nil {
			return nil, cobra.ShellCompDirectiveError
		}
		slices.Sort(found)
		return found, cobra.ShellCompDirectiveNoFileComp
	}
}

// commandContext returns the command's context. A command that cobra completes has none.
func commandContext(cmd *cobra.Command) context.Context {
	if ctx := cmd.Context(); ctx != nil {
		return ctx
	}
	return context.Background()
}
