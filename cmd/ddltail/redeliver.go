package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"
	"go.mongodb.org/mongo-driver/v2/mongo"

	"github.com/ddltail/ddltail/internal/config"
	"github.com/ddltail/ddltail/internal/history"
	"github.com/ddltail/ddltail/internal/listener"
	"github.com/ddltail/ddltail/internal/store"
)

func redeliverCommand() *cobra.Command {
	var r listener.Redelivery
	var since string
	var dryRun bool
	cmd := &cobra.Command{
		Use:   "redeliver [--id ID…] [--rejected] [--since TIME] [--receiver NAME] [--dry-run]",
		Short: "Deliver notifications again: by ID, those that were rejected, or all since a time",
		Long: "Mark notifications as unprocessed, so that `ddltail listen` delivers them again. Those that cleanup\n" +
			"has removed are restored from the history. The webhook-id does not change. --id, --rejected and --since\n" +
			"select notifications; at least one is required. Unprocessed notifications and duplicates are not changed.\n\n" +
			"TIME is RFC 3339, a local time as `ddltail history` prints it, or an age: 90s, 2h, 1d, 2w.",
		Example: "  ddltail redeliver --rejected --dry-run\n" +
			"  ddltail redeliver --since 2h --receiver backend\n" +
			"  ddltail redeliver --id 1795479993:1 --id 1795479994:3",
		DisableFlagsInUseLine: true,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) > 0 && len(r.IDs) == 0 {
				return fmt.Errorf("unexpected argument %q: select notifications with --id", args[0])
			}
			r.IDs = append(r.IDs, args...)
			if len(r.IDs) == 0 && !r.Rejected && since == "" {
				return errors.New("want --id, --rejected or --since")
			}
			var err error
			r.Since, err = parseOptionalTime("--since", since, time.Now())
			return err
		},
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, log, err := configure(cmd.Context(), startLimit)
			if err != nil {
				return err
			}
			return withSink(cmd.Context(), cfg, log, consumer(cfg, "redeliver"), func(ctx context.Context, db *mongo.Database) error {
				text, err := redelivered(ctx, db, cfg, r, dryRun)
				if err != nil {
					return err
				}
				_, err = fmt.Fprintln(cmd.OutOrStdout(), text)
				return err
			})
		},
	}
	cmd.Flags().StringSliceVar(&r.IDs, "id", nil, "an ID as in the tables of `ddltail history`, or a whole _id; may be repeated")
	cmd.Flags().BoolVar(&r.Rejected, "rejected", false, "only undelivered ones: rejected, malformed or expired")
	cmd.Flags().StringVar(&since, "since", "", "TIME: only those with a timestamp from then on")
	cmd.Flags().StringVar(&r.Receiver, "receiver", "", "only for this receiver")
	cmd.Flags().BoolVar(&dryRun, "dry-run", false, "only print how many would be delivered again")
	return cmd
}

func redelivered(ctx context.Context, db *mongo.Database, cfg config.Config, r listener.Redelivery, dryRun bool) (string, error) {
	if err := checkQueue(ctx, db, store.Notifications, store.History); err != nil {
		return "", err
	}
	sources, err := redeliverySources(ctx, db, cfg, r)
	if err != nil {
		return "", err
	}
	r.Sources = sources
	n, err := listener.Redeliver(ctx, db, r, dryRun)
	var unknown *listener.UnknownReceiverError
	if errors.As(err, &unknown) {
		return "", &config.Error{Reason: "--receiver", Remedy: err.Error()}
	}
	if err != nil {
		return "", err
	}
	text := fmt.Sprintf("%d notifications will be delivered again", n.Queue+n.History)
	if dryRun {
		text = fmt.Sprintf("%d notifications would be delivered again", n.Queue+n.History)
	}
	if n.History > 0 {
		text += fmt.Sprintf(", %d of them from the history", n.History)
	}
	return text, nil
}

// redeliverySources returns the sources that complete an ID without one.
func redeliverySources(ctx context.Context, db *mongo.Database, cfg config.Config, r listener.Redelivery) ([]string, error) {
	switch {
	case len(r.IDs) == 0:
		return nil, nil
	case cfg.Source != "":
		return []string{cfg.Source}, nil
	}
	return history.NewReader(db).Sources(ctx)
}
