package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"
	"go.mongodb.org/mongo-driver/v2/mongo"

	"github.com/ddltail/ddltail/internal/cleanup"
)

// defaultAge is when a processed notification is old.
const defaultAge = 24 * time.Hour

func cleanupCommand() *cobra.Command {
	var age time.Duration
	var dryRun bool
	cmd := &cobra.Command{
		Use:                   "cleanup [--older-than 24h] [--dry-run]",
		Short:                 "Remove old processed notifications",
		DisableFlagsInUseLine: true,
		Args: func(cmd *cobra.Command, args []string) error {
			if age < 0 {
				return errors.New("--older-than: want a duration such as 24h")
			}
			return cobra.NoArgs(cmd, args)
		},
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, log, err := configure()
			if err != nil {
				return err
			}
			return withSink(cmd.Context(), cfg, log, consumer(cfg, "cleanup"), func(ctx context.Context, db *mongo.Database) error {
				text, err := cleaned(ctx, db, age, dryRun)
				if err != nil {
					return err
				}
				_, err = fmt.Fprintln(cmd.OutOrStdout(), text)
				return err
			})
		},
	}
	cmd.Flags().DurationVar(&age, "older-than", defaultAge, "by timestamp and, where there is one, by processed_at")
	cmd.Flags().BoolVar(&dryRun, "dry-run", false, "only say how many would go")
	return cmd
}

func cleaned(ctx context.Context, db *mongo.Database, age time.Duration, dryRun bool) (string, error) {
	if dryRun {
		n, err := cleanup.Count(ctx, db, age)
		return fmt.Sprintf("%d notifications would be removed", n), err
	}
	n, err := cleanup.Remove(ctx, db, age)
	return fmt.Sprintf("%d notifications removed", n), err
}
