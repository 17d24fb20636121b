package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.uber.org/zap"

	"github.com/ddltail/ddltail/internal/config"
	"github.com/ddltail/ddltail/internal/notification"
	"github.com/ddltail/ddltail/notify"
)

func notifyCommand() *cobra.Command {
	var change notify.Change
	cmd := &cobra.Command{
		Use:   "notify OPERATION [COLLECTION [INDEX]] [--database DB] [--to DB.COLLECTION] [--statement TEXT]",
		Short: "Write one notification by hand",
		Long:  "Write one notification by hand, for a change that has just been made.\n\nOperations: " + operationNames() + ".",
		Example: "  ddltail notify CREATE_COLLECTION payments\n" +
			"  ddltail notify CREATE_INDEX transactions amount_idx\n" +
			"  ddltail notify RENAME_COLLECTION payments --to banking_db.paid\n" +
			"  ddltail notify DROP_DATABASE --database banking_db",
		DisableFlagsInUseLine: true,
		Args:                  func(_ *cobra.Command, args []string) error { return readArguments(&change, args) },
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, log, err := configure(cmd.Context(), startLimit)
			if err != nil {
				return err
			}
			if !cmd.Flags().Changed("database") && cfg.DatabaseNamed {
				change.Database = cfg.Database
			}
			return writeNotification(cmd.Context(), cfg, change, log)
		},
	}
	cmd.Flags().StringVar(&change.Database, "database", "", "the database of the change (default: DDLTAIL_DATABASE or the URI's path, if set)")
	cmd.Flags().StringVar(&change.To, "to", "", "the new full name of a renamed collection")
	cmd.Flags().StringVar(&change.Statement, "statement", "", "the text that consumers show (default: the operation and its target)")
	return cmd
}

func operationNames() string {
	var names []string
	for _, op := range notification.Operations() {
		names = append(names, string(op))
	}
	return strings.Join(names, ", ")
}

// readArguments sets the fields that are arguments of the command line. The flags are set
// already; the database may still come from the configuration.
func readArguments(change *notify.Change, args []string) error {
	if len(args) < 1 || len(args) > 3 {
		return fmt.Errorf("want OPERATION [COLLECTION [INDEX]]: got %d arguments", len(args))
	}
	words := append(args, "", "")
	change.Operation, change.Collection, change.Index = strings.ToUpper(words[0]), words[1], words[2]
	whole := *change
	if whole.Database == "" {
		whole.Database = "known later"
	}
	return whole.Validate()
}

func writeNotification(ctx context.Context, cfg config.Config, change notify.Change, log *zap.Logger) error {
	var invalid *notify.InvalidError
	if errors.As(change.Validate(), &invalid) {
		return &config.Error{Reason: invalid.Reason, Remedy: "set --database"}
	}
	return withSink(ctx, cfg, log, consumer(cfg, "notify"), func(ctx context.Context, db *mongo.Database) error {
		if err := notify.SchemaChange(ctx, db, change); err != nil {
			return err
		}
		log.Info("notified", zap.String("operation", change.Operation), zap.String("collection", change.Collection),
			zap.String("queue", cfg.Database))
		return nil
	})
}
