package main

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/spf13/cobra"
	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.uber.org/zap"
	"golang.org/x/sync/errgroup"

	"github.com/ddltail/ddltail/internal/config"
	"github.com/ddltail/ddltail/internal/credentials"
	"github.com/ddltail/ddltail/internal/delivery"
	"github.com/ddltail/ddltail/internal/listener"
	"github.com/ddltail/ddltail/internal/metrics"
	"github.com/ddltail/ddltail/internal/mongosh"
	"github.com/ddltail/ddltail/internal/ownindex"
	"github.com/ddltail/ddltail/internal/privileges"
	"github.com/ddltail/ddltail/internal/retention"
	"github.com/ddltail/ddltail/internal/store"
	"github.com/ddltail/ddltail/internal/web"
)

const (
	// defaultListenAddr is where `listen` serves HTTP.
	defaultListenAddr = ":9798"
	// cleanUpEvery is how often `listen` cleans up, and cleanUpAgain how soon after a
	// failure.
	cleanUpEvery = time.Hour
	cleanUpAgain = time.Minute
)

func listenCommand() *cobra.Command {
	var toStdout bool
	cmd := &cobra.Command{
		Use:   "listen [--stdout]",
		Short: "Deliver every unprocessed notification to the backend and other receivers; until SIGINT or SIGTERM",
		Long: "Deliver every unprocessed notification to the backend at DDLTAIL_BACKEND_URL and to the receivers of\n" +
			"DDLTAIL_RECEIVERS_FILE, at least once and in oplog order within each collection, then mark it processed;\n" +
			"remove old processed ones every hour. SIGHUP reloads the receivers. Until SIGINT or SIGTERM.",
		DisableFlagsInUseLine: true,
		Args:                  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			reload := catchHangup()
			var required []config.Requirement
			if !toStdout {
				required = append(required, config.Requirement{Variable: "BACKEND_URL", Or: "RECEIVERS_FILE",
					Remedy: "set it to the URL that accepts the notifications, set DDLTAIL_RECEIVERS_FILE, or print them with --stdout"})
			}
			cfg, log, err := configure(cmd.Context(), startLimit, required...)
			if err != nil {
				return err
			}
			source := &receiverSource{cfg: cfg}
			if toStdout {
				source.stdout = delivery.NewStream(cmd.OutOrStdout())
			}
			first, err := source.read()
			if err != nil {
				return err
			}
			defer source.close()
			return listen(cmd.Context(), cfg, source, first, reload, log)
		},
	}
	cmd.Flags().BoolVar(&toStdout, "stdout", false, "print each notification as a line of JSON instead of sending it to DDLTAIL_BACKEND_URL")
	return cmd
}

// listen is one listener: HTTP and the work, both until the context ends.
func listen(
	ctx context.Context, cfg config.Config, source *receiverSource, receivers []listener.Receiver, reload *hangup, log *zap.Logger,
) error {
	socket, err := listenHTTP(ctx, cfg, defaultListenAddr)
	if err != nil {
		return err
	}
	registry := newRegistry()
	l := &listener.Listener{
		Database: cfg.Database, Receivers: receivers, PollInterval: cfg.PollInterval, Status: &listener.Status{}, Log: log,
	}
	l.Metrics = metrics.NewListen(registry, build(), listenLabels(), l.Status.Ready)
	l.Metrics.SetInfo(metrics.Info{Component: "listen", Source: cfg.Source, Database: cfg.Database})
	log.Info("ddltail", zap.String("version", orUnknown(build().Version)),
		zap.Stringer("sink", cfg.Sink), zap.String("database", cfg.Database))
	source.log(log, receivers)
	reload.call(func() { source.reload(l) })

	rotation := credentials.New(cfg, log)
	reload.call(rotation.Reread)
	l.Credentials = rotation.Use("sink")
	return service{
		cfg: cfg, log: log, socket: socket, registry: registry, reload: reload,
		probes: web.Probes{Alive: l.Status.Alive, Ready: l.Status.Ready},
		page:   web.Page{Title: "ddltail listen", Rows: func() []web.Row { return listenRows(l.Status) }},
	}.run(ctx, func(ctx context.Context) error {
		return rotation.Run(ctx, func(ctx context.Context, _, stored config.URI, again bool) error {
			session := cfg
			session.Sink = stored
			wait := waitAtStart(log)
			if again {
				wait = reconnecting(rotation, l.Status)
			}
			return listenSession(ctx, session, l, wait)
		})
	})
}

// listenSession connects with one set of credentials, listens and cleans up.
func listenSession(ctx context.Context, cfg config.Config, l *listener.Listener, wait waitFunc) error {
	client, err := store.Connect(cfg.Sink.Options())
	if err != nil {
		return err
	}
	defer disconnect(client)
	l.Indexes = ownindex.NewBuilder(l.Log)
	var db *mongo.Database
	var missing privileges.Missing
	err = wait(ctx, func(ctx context.Context) error {
		if db, err = openSink(ctx, client, cfg); err != nil {
			return err
		}
		if missing, err = checkConsumer(ctx, db, consumer(cfg, "listen")); err != nil {
			return err
		}
		return explainSink(ctx, db, cfg, consumer(cfg, "listen"), listener.Setup(ctx, db, l.Indexes.Ensure))
	})
	if err != nil {
		return err
	}
	logMissing(l.Log, []privileges.Missing{missing})
	l.Explain = func(err error) error {
		return explainSink(ctx, db, cfg, consumer(cfg, "listen"), err)
	}
	l.Metrics.SetInfo(metrics.Info{Component: "listen", ReplicaSet: setName(ctx, db), Source: cfg.Source, Database: cfg.Database})
	warnQueueRisks(ctx, db, l.Log)
	both, ctx := errgroup.WithContext(ctx)
	both.Go(func() error { return cappedQueue(l.Run(ctx, db), cfg.Database) })
	both.Go(func() error { return l.Indexes.Run(ctx) })
	both.Go(func() error {
		cleanUp(ctx, db, cfg, l)
		return nil
	})
	return both.Wait()
}

// cappedQueue adds the remedy to the listener's error: how to replace the queue.
func cappedQueue(err error, database string) error {
	if err == nil {
		return nil
	}
	queue := mongosh.DB(database) + "." + store.Notifications
	return &config.Error{Reason: err.Error(), Err: err, Remedy: fmt.Sprintf("stop every ddltail, then in mongosh: "+
		"%s.aggregate([{$out: '%s_copy'}]); %s.drop(); %s_copy.renameCollection('%s')",
		queue, store.Notifications, queue, queue, store.Notifications)}
}

// warnQueueRisks logs what may remove or refuse notifications in a queue that a team created.
func warnQueueRisks(ctx context.Context, db *mongo.Database, log *zap.Logger) {
	risks, err := store.QueueRisks(ctx, db)
	if err != nil {
		log.Debug("queue cannot be inspected", zap.Error(err))
	}
	for _, risk := range risks {
		log.Warn("notifications may be lost or refused", zap.String("collection", store.Notifications), zap.String("reason", risk))
	}
}

// setName returns the name of the replica set that holds the queue; empty if it is a
// standalone server.
func setName(ctx context.Context, db *mongo.Database) string {
	var hello struct {
		SetName string `bson:"setName"`
	}
	// The name is only a label: an error is ignored.
	_ = db.RunCommand(ctx, bson.D{{Key: "hello", Value: 1}}).Decode(&hello)
	return hello.SetName
}

// cleanUp removes old notifications each hour.
func cleanUp(ctx context.Context, db *mongo.Database, cfg config.Config, l *listener.Listener) {
	for {
		next := cleanUpEvery
		removed, err := retention.PruneQueue(ctx, db, cfg.CleanupAfter)
		switch {
		case ctx.Err() != nil:
			return
		case err != nil:
			next = cleanUpAgain
			l.Log.Warn("old notifications cannot be removed", zap.Duration("again_in", next),
				zap.Error(explainSink(ctx, db, cfg, consumer(cfg, "cleanup"), err)))
		default:
			l.Metrics.Cleaned.Add(float64(removed))
			l.Log.Info("removed old notifications", zap.Int64("number", removed), zap.Duration("older_than", cfg.CleanupAfter))
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(next):
		}
	}
}

func listenLabels() metrics.ListenLabels {
	labels := metrics.ListenLabels{Results: listener.Results(), Modes: listener.Modes(), ReceiverResults: listener.ReceiverResults()}
	for _, v := range delivery.Verdicts() {
		labels.Verdicts = append(labels.Verdicts, v.String())
	}
	return labels
}

func listenRows(s *listener.Status) []web.Row {
	ready, mode, unprocessed := "yes", string(s.Mode()), notKnown
	if n, ok := s.Unprocessed(); ok {
		unprocessed = strconv.Itoa(n)
	}
	if s.Ready() != nil {
		ready = "no"
	}
	return []web.Row{
		{Name: "version", Value: orUnknown(build().Version)},
		{Name: "delivering", Value: ready},
		{Name: "new notifications by", Value: orUnknown(mode)},
		{Name: "unprocessed", Value: unprocessed},
	}
}
