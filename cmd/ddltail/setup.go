package main

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.uber.org/zap"

	"github.com/ddltail/ddltail/internal/config"
	"github.com/ddltail/ddltail/internal/ownindex"
	"github.com/ddltail/ddltail/internal/privileges"
	"github.com/ddltail/ddltail/internal/replicaset"
	"github.com/ddltail/ddltail/internal/store"
	"github.com/ddltail/ddltail/internal/usererror"
)

func setupCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "setup",
		Short: "Create the notification collection, its init document and its indexes (idempotent)",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, log, err := configure(cmd.Context(), startLimit)
			if err != nil {
				return err
			}
			return withSink(cmd.Context(), cfg, log, consumer(cfg, "setup"), func(ctx context.Context, db *mongo.Database) error {
				if err := store.SetupQueue(ctx, db, ownindex.Create); err != nil {
					return err
				}
				log.Info("ready", zap.String("database", cfg.Database), zap.String("collection", store.Notifications))
				return nil
			})
		},
	}
}

// consumer returns what a command that reads or writes the queue needs privileges for.
func consumer(cfg config.Config, command string) privileges.Use {
	return privileges.Use{Role: privileges.Listen, Command: command, Database: cfg.Database}
}

// checkQueue returns an error if none of the collections that a command reads exists: that
// nothing was found would read as if there were nothing to do.
func checkQueue(ctx context.Context, db *mongo.Database, collections ...string) error {
	exists, err := store.Exists(ctx, db, collections...)
	if err == nil && !exists {
		err = fmt.Errorf("no queue of ddltail in the database %s: set DDLTAIL_DATABASE and DDLTAIL_SINK_URI as for ddltail run", db.Name())
	}
	return err
}

// withSink runs a command that needs only ddltail's own collections.
func withSink(ctx context.Context, cfg config.Config, log *zap.Logger, use privileges.Use, work func(context.Context, *mongo.Database) error) error {
	client, err := store.Connect(cfg.Sink.Options())
	if err != nil {
		return err
	}
	defer disconnect(client)
	var db *mongo.Database
	limit := startLimit
	if use.Role == privileges.History {
		limit = historyLimit
	}
	err = waitUpTo(log, limit)(ctx, func(ctx context.Context) error {
		if db, err = openSink(ctx, client, cfg); err != nil {
			return err
		}
		_, err = checkConsumer(ctx, db, use)
		return err
	})
	if err != nil {
		return err
	}
	return explainSink(ctx, db, cfg, use, work(ctx, db))
}

// explainSink adds a remedy to a permanent error of the sink.
func explainSink(ctx context.Context, db *mongo.Database, cfg config.Config, use privileges.Use, err error) error {
	if usererror.IsFinal(err) {
		return err
	}
	err = use.Explain(ctx, db.Client(), privileges.Sink, err)
	return usererror.Sink(err, cfg.Database, cfg.Sink.PathIsAuthSource())
}

// openSink returns the database of ddltail's own collections. Without a primary it
// queries each host for the reason: the driver's own error is a dump of its state, different each time.
func openSink(ctx context.Context, client *mongo.Client, cfg config.Config) (*mongo.Database, error) {
	db, err := store.Database(ctx, client, cfg.Database)
	if err == nil {
		return db, nil
	}
	if !replicaset.Unauthenticated(err) {
		seeds := replicaset.Seeds{Hosts: cfg.Sink.Hosts(), Options: cfg.Sink.Options(), Direct: cfg.Sink.Direct()}
		if reason := replicaset.NoPrimary(ctx, seeds); reason != nil {
			err = fmt.Errorf("the sink: %w", reason)
		}
	}
	return nil, usererror.Sink(err, cfg.Database, cfg.Sink.PathIsAuthSource())
}

func disconnect(client *mongo.Client) {
	ctx, cancel := context.WithTimeout(context.Background(), 500*time.Millisecond)
	defer cancel()
	// The process ends and closes its connections anyway.
	_ = client.Disconnect(ctx)
}
