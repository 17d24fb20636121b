package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/readconcern"
	"go.mongodb.org/mongo-driver/v2/mongo/readpref"
	"go.mongodb.org/mongo-driver/v2/mongo/writeconcern"
	"go.uber.org/zap"

	"github.com/ddltail/ddltail/internal/capture"
	"github.com/ddltail/ddltail/internal/config"
)

func captureCommand() *cobra.Command {
	var opts capture.Options
	cmd := &cobra.Command{
		Use:   "capture [--scratch] [--log]",
		Short: "Run every kind of DDL once on a test server and print its oplog entries",
		Long: "Run every kind of DDL once, in two databases with random names, and print the oplog entries that the\n" +
			"server wrote: evidence for a server version that ddltail was not tested with.\n" +
			"`go test ./internal/detector -corpus FILE` checks the entries. Use a test server: capture refuses one\n" +
			"with user databases. It drops its databases at the end, and those that an interrupted capture left at\n" +
			"the start. The user needs readWriteAnyDatabase, dbAdminAnyDatabase, clusterMonitor, and read on local.",
		DisableFlagsInUseLine: true,
		Args:                  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, log, err := configure(cmd.Context(), startLimit)
			if err != nil {
				return err
			}
			opts.Progress = func(step string, refusal error) {
				log.Debug("step", zap.String("name", step))
				if refusal != nil {
					log.Warn("the server refuses this kind of DDL", zap.String("step", step), zap.Error(refusal))
				}
			}
			text, err := captureFrom(cmd.Context(), cfg, log, opts)
			if err != nil {
				return err
			}
			_, err = cmd.OutOrStdout().Write(text)
			return err
		},
	}
	cmd.Flags().BoolVar(&opts.Scratch, "scratch", false, "accept a server with user databases; they are not changed")
	cmd.Flags().BoolVar(&opts.Log, "log", false, "add the server's log lines about these changes; they contain user names and addresses")
	return cmd
}

// captureFrom connects to the primary and returns the formatted capture.
func captureFrom(ctx context.Context, cfg config.Config, log *zap.Logger, opts capture.Options) ([]byte, error) {
	opts.Name = capture.NewName()
	client, err := mongo.Connect(cfg.MongoDB.Options().SetAppName(opts.Name).SetWriteConcern(writeconcern.Majority()).
		SetReadConcern(readconcern.Majority()).SetReadPreference(readpref.Primary()))
	if err != nil {
		return nil, fmt.Errorf("connect to DDLTAIL_MONGODB_URI: %w", err)
	}
	defer disconnect(client)
	err = waitAtStart(log)(ctx, func(ctx context.Context) error { return client.Ping(ctx, nil) })
	if err != nil {
		return nil, err
	}
	c, err := capture.Run(ctx, client, opts)
	if errors.Is(err, capture.ErrUserDatabases) {
		return nil, &config.Error{Reason: err.Error(), Remedy: "use a test server, or add --scratch: only databases that capture creates are changed", Err: err}
	}
	if err != nil {
		return nil, err
	}
	log.Info("captured", zap.String("mongod", c.Version), zap.Int("entries", len(c.Entries)), zap.Int("refused", len(c.Refused)))
	return c.Format()
}
