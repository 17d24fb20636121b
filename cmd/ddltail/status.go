package main

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"github.com/spf13/cobra"

	"github.com/ddltail/ddltail/internal/config"
	"github.com/ddltail/ddltail/internal/health"
	"github.com/ddltail/ddltail/internal/store"
	"github.com/ddltail/ddltail/internal/terminal"
)

// statusLimit bounds the run time of `status`.
const statusLimit = 2 * time.Minute

var errUnhealthy = errors.New("not healthy")

func statusCommand() *cobra.Command {
	var format string
	cmd := &cobra.Command{
		Use:   "status [--format table|json]",
		Short: "Show ddltail's health; exit 0 only if healthy",
		Long: "Show ddltail's health: members, position, lag, oplog, privileges, last change, gaps, unprocessed\n" +
			"notifications, differences between the catalog and the server's, and drift from DDLTAIL_DECLARED.\n" +
			"Exit 0 only if healthy: the set has a primary, the position is in the oplog and at most a minute\n" +
			"behind, no privilege is missing, and the catalog is equal to the server's.",
		DisableFlagsInUseLine: true,
		Args:                  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := oneOf(format, "table", "json"); err != nil {
				return err
			}
			cfg, _, err := configure(cmd.Context(), 0)
			if err != nil {
				return err
			}
			ctx, cancel := context.WithTimeout(cmd.Context(), statusLimit)
			defer cancel()
			report, err := status(ctx, cfg)
			if err != nil {
				return err
			}
			if format == "json" {
				enc := json.NewEncoder(cmd.OutOrStdout())
				enc.SetIndent("", "  ")
				enc.SetEscapeHTML(false)
				err = enc.Encode(report)
			} else {
				err = report.Write(cmd.OutOrStdout(), terminal.Of(cmd.OutOrStdout()))
			}
			if err == nil && !report.Healthy {
				err = withDefaultURI(errUnhealthy)
			}
			return err
		},
	}
	cmd.Flags().StringVar(&format, "format", "table", "table or json")
	return cmd
}

func status(ctx context.Context, cfg config.Config) (health.Report, error) {
	client, err := store.Connect(cfg.Sink.Options())
	if err != nil {
		return health.Report{}, err
	}
	defer disconnect(client)
	db, sinkErr := openSink(ctx, client, cfg)
	if sinkErr != nil {
		db = client.Database(cfg.Database)
	}
	seeds := seedsOf(cfg)
	if sinkErr == nil {
		// A checkpoint that cannot be read is shown by the check itself.
		_ = restoreMembers(ctx, cfg, db, seeds.Known)
	}
	return health.Check{
		Seeds:          seeds,
		ReadPreference: cfg.ReadPreference, Sink: db, SinkError: sinkErr,
		Source: cfg.Source, Name: cfg.Name, Retention: cfg.HistoryTTL > 0, Actor: cfg.Actor, NoQueue: !writesQueue(cfg),
		Declared:      cfg.Declared,
		OneDeployment: cfg.Sink.Same(cfg.MongoDB),
	}.Run(ctx), nil
}
