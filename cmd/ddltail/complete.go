package main

import (
	"context"
	"slices"
	"time"

	"github.com/spf13/cobra"
	"go.mongodb.org/mongo-driver/v2/mongo"

	"github.com/ddltail/ddltail/internal/config"
	"github.com/ddltail/ddltail/internal/history"
	"github.com/ddltail/ddltail/internal/notification"
	"github.com/ddltail/ddltail/internal/risk"
	"github.com/ddltail/ddltail/internal/store"
)

// completionLimit bounds how long a shell waits for values that the sink holds.
const completionLimit = 2 * time.Second

type completion = func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective)

// addCompletion lets a shell complete the values of flags.
func addCompletion(root *cobra.Command) {
	values := map[string]completion{
		"operation": fixed(names(notification.Operations())...),
		"risk":      fixed(names(risk.All())...),
		"receiver":  receiverNames,
		"source":    stored(func(ctx context.Context, r history.Reader) ([]string, error) { return r.Sources(ctx) }),
		"ns":        stored(func(ctx context.Context, r history.Reader) ([]string, error) { return r.Namespaces(ctx) }),
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
			_ = cmd.RegisterFlagCompletionFunc("format", fixed(all...))
		}
		switch {
		case cmd.Name() == "notify":
			cmd.ValidArgsFunction = first(fixed(names(notification.Operations())...))
		case cmd.HasParent() && cmd.Parent().Name() == "receivers":
			cmd.ValidArgsFunction = first(receiverNames)
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

func fixed(values ...string) completion {
	return func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
		return values, cobra.ShellCompDirectiveNoFileComp
	}
}

// first completes only the first argument.
func first(complete completion) completion {
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

// stored completes what the sink holds. Without a sink there is nothing to complete.
func stored(read func(context.Context, history.Reader) ([]string, error)) completion {
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
		found, err := read(ctx, history.NewReader(ownDatabase(client, cfg)))
		if err != nil {
			return nil, cobra.ShellCompDirectiveError
		}
		slices.Sort(found)
		return found, cobra.ShellCompDirectiveNoFileComp
	}
}

func ownDatabase(client *mongo.Client, cfg config.Config) *mongo.Database {
	return client.Database(cfg.Database)
}

// commandContext is nil for a command that cobra completes.
func commandContext(cmd *cobra.Command) context.Context {
	if ctx := cmd.Context(); ctx != nil {
		return ctx
	}
	return context.Background()
}
