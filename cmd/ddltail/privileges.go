package main

import (
	"context"
	"errors"

	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.uber.org/zap"

	"github.com/ddltail/ddltail/internal/checkpoint"
	"github.com/ddltail/ddltail/internal/config"
	"github.com/ddltail/ddltail/internal/privileges"
	"github.com/ddltail/ddltail/internal/replicaset"
	"github.com/ddltail/ddltail/internal/sink"
	"github.com/ddltail/ddltail/internal/usererror"
)

// use is what `run` does with this configuration.
func use(cfg config.Config) privileges.Use {
	return privileges.Use{Database: cfg.Database, HistoryTTL: cfg.HistoryTTL > 0, NoQueue: !writesQueue(cfg)}
}

// checkPrivileges makes the check that `status` makes, on both deployments. The error names
// all that is missing without which `run` cannot begin; the rest is logged.
func (d *daemon) checkPrivileges(ctx context.Context, view replicaset.View, db *mongo.Database, source string) error {
	candidates := view.Candidates(d.cfg.ReadPreference)
	if len(candidates) == 0 {
		return nil // Prepare says why
	}
	client, err := replicaset.Connect(ctx, d.seeds.Options, candidates[0].Host)
	if err != nil {
		return usererror.Tailed(err, d.seeds.PathIsAuthSource)
	}
	defer disconnect(client)
	missing, err := d.missing(ctx, client, db.Client())
	if err != nil {
		return err
	}
	fatal := []privileges.Effect{privileges.Required}
	if missingError(missing, fatal) == nil {
		_, again, err := checkpoint.NewStore(db.Collection(sink.Checkpoints), source, d.cfg.Name).Load(ctx)
		if err != nil {
			return err
		}
		if !again {
			fatal = append(fatal, privileges.RequiredOnce)
		}
	}
	if err := missingError(missing, fatal); err != nil {
		return err
	}
	limiting := 0
	for _, m := range missing {
		limiting += reportMissing(d.log, m)
	}
	d.metrics.PrivilegesMissing.Set(float64(limiting))
	return nil
}

// checkConsumer makes the same check for `listen`.
func checkConsumer(ctx context.Context, cfg config.Config, db *mongo.Database, log *zap.Logger) error {
	user, err := privileges.Read(ctx, db.Client())
	if err != nil {
		return err
	}
	use := consumer(cfg, "listen")
	missing := user.Missing(use, use.Needs(privileges.Sink))
	if err := missingError([]privileges.Missing{missing}, []privileges.Effect{privileges.Required}); err != nil {
		return err
	}
	reportMissing(log, missing)
	return nil
}

// missing reads what the users lack.
func (d *daemon) missing(ctx context.Context, tailed, stored *mongo.Client) (missing []privileges.Missing, err error) {
	use, users := use(d.cfg), map[privileges.Deployment]privileges.User{}
	if use.MajorVersion, err = privileges.MajorVersion(ctx, tailed); err != nil {
		return nil, err
	}
	if users[privileges.Tailed], err = privileges.Read(ctx, tailed); err != nil {
		return nil, err
	}
	if users[privileges.Sink], err = privileges.Read(ctx, stored); err != nil {
		return nil, err
	}
	return use.MissingOf(users, d.cfg.Sink.Same(d.cfg.MongoDB)), nil
}

// missingError joins what is missing with one of the effects; nil if nothing is.
func missingError(missing []privileges.Missing, effects []privileges.Effect) error {
	var errs []error
	for _, m := range missing {
		if err := m.Only(effects...).Error(); err != nil {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// reportMissing logs what limits a process that runs nevertheless, and returns how many
// privileges are missing that are not optional.
func reportMissing(log *zap.Logger, m privileges.Missing) (limiting int) {
	for _, need := range m.Needs {
		write := log.Warn
		if need.Effect == privileges.Optional {
			write = log.Info
		} else {
			limiting += len(need.Privileges)
		}
		write("privileges are missing", zap.String("privileges", privileges.Text(need.Privileges)),
			zap.String("without", need.Without), zap.String("remedy", m.Remedy()))
	}
	return limiting
}
