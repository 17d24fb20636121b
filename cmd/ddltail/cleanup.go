package main

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"
	"go.mongodb.org/mongo-driver/v2/mongo"

	"github.com/ddltail/ddltail/internal/age"
	"github.com/ddltail/ddltail/internal/retention"
	"github.com/ddltail/ddltail/internal/store"
)

func cleanupCommand() *cobra.Command {
	older := "24h"
	var atLeast time.Duration
	var dryRun bool
	cmd := &cobra.Command{
		Use:                   "cleanup [--older-than 24h] [--dry-run]",
		Short:                 "Remove old processed notifications",
		DisableFlagsInUseLine: true,
		Args: func(cmd *cobra.Command, args []string) error {
			var err error
			if atLeast, err = age.Parse(older); err != nil {
				return fmt.Errorf("--older-than: %q: want an age such as 90s, 24h, 1d or 2w", older)
			}
			return cobra.NoArgs(cmd, args)
		},
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, log, err := configure(cmd.Context(), startLimit)
			if err != nil {
				return err
			}
			return withSink(cmd.Context(), cfg, log, consumer(cfg, "cleanup"), func(ctx context.Context, db *mongo.Database) error {
				text, err := cleaned(ctx, db, atLeast, dryRun)
				if err != nil {
					return err
				}
				_, err = fmt.Fprintln(cmd.OutOrStdout(), text)
				return err
			})
		},
	}
	cmd.Flags().StringVar(&older, "older-than", older, "an age such as 90s, 24h, 1d or 2w, by timestamp and, if present, by processed_at")
	cmd.Flags().BoolVar(&dryRun, "dry-run", false, "only print how many would be removed")
	return cmd
}

func cleaned(ctx context.Context, db *mongo.Database, atLeast time.Duration, dryRun bool) (string, error) {
	if err := checkQueue(ctx, db, store.Notifications); err != nil {
		return "", err
	}
	if dryRun {
		n, err := retention.CountQueue(ctx, db, atLeast)
		return fmt.Sprintf("%d notifications would be removed", n), err
	}
	n, err := retention.PruneQueue(ctx, db, atLeast)
	return fmt.Sprintf("%d notifications removed", n), err
}
