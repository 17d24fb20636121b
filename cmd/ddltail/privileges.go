package main

import (
	"context"
	"errors"
	"slices"
	"time"

	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.uber.org/zap"

	"github.com/ddltail/ddltail/internal/checkpoint"
	"github.com/ddltail/ddltail/internal/config"
	"github.com/ddltail/ddltail/internal/privileges"
	"github.com/ddltail/ddltail/internal/replicaset"
	"github.com/ddltail/ddltail/internal/retry"
	"github.com/ddltail/ddltail/internal/store"
	"github.com/ddltail/ddltail/internal/usererror"
)

// privilegesEvery is how often `run` reads its user's privileges.
const privilegesEvery = 10 * time.Minute

// use returns the features of a configuration that need privileges.
func use(cfg config.Config) privileges.Use {
	return privileges.Use{Database: cfg.Database, HistoryTTL: cfg.HistoryTTL > 0, Actor: cfg.Actor.On(), GetLog: cfg.Actor.GetLog, NoQueue: !writesQueue(cfg)}
}

// checkPrivileges checks the same privileges as `status`. The error names all those without
// which `run` cannot start; watchPrivileges reports the others.
func (d *daemon) checkPrivileges(ctx context.Context, db *mongo.Database, source string) error {
	missing, err := d.missingPrivileges(ctx, db)
	if err != nil {
		return usererror.Tailed(err, d.seeds.PathIsAuthSource)
	}
	if err := missingError(missing, privileges.Required); err != nil {
		return err
	}
	_, again, err := checkpoint.NewStore(db.Collection(store.Checkpoints), source, d.cfg.Name).Load(ctx)
	if err != nil || again {
		return err
	}
	return missingError(missing, privileges.RequiredOnce)
}

// checkConsumer checks the privileges of a command that connects only to the sink. It returns
// the missing privileges that are optional for the command.
func checkConsumer(ctx context.Context, db *mongo.Database, use privileges.Use) (privileges.Missing, error) {
	user, err := privileges.Read(ctx, db.Client())
	if err != nil {
		return privileges.Missing{}, err
	}
	missing := user.Missing(use, use.Needs(privileges.Sink))
	if len(missing.Of(privileges.Required)) > 0 {
		return missing, missing.Error()
	}
	return missing, nil
}

// missingError joins the missing privileges that have one of the effects; nil if there are none.
func missingError(missing []privileges.Missing, effects ...privileges.Effect) error {
	var errs []error
	for _, m := range missing {
		if err := m.Only(effects...).Error(); err != nil {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// watchPrivileges updates the metric of missing privileges and logs each change: otherwise a
// revoked privilege would be noticed only when it is needed.
func (d *daemon) watchPrivileges(ctx context.Context, db *mongo.Database) error {
	var logged string
	for {
		missing, err := d.missingPrivileges(ctx, db)
		switch {
		case ctx.Err() != nil:
			return nil
		case err != nil:
			d.log.Debug("privileges cannot be read", zap.Error(err))
		default:
			if text := texts(missing); text != logged {
				logMissing(d.log, missing)
				if len(missing) == 0 {
					d.log.Info("all privileges are granted again")
				}
				logged = text
			}
			d.metrics.PrivilegesMissing.Set(float64(number(missing)))
		}
		if !retry.Sleep(ctx, privilegesEvery) {
			return nil
		}
	}
}

func logMissing(log *zap.Logger, missing []privileges.Missing) {
	for _, m := range missing {
		for _, n := range m.Needs {
			write := log.Warn
			if n.Effect == privileges.Optional {
				write = log.Info
			}
			write("privileges are missing", zap.String("privileges", privileges.Text(n.Privileges)),
				zap.String("without", n.Without), zap.String("remedy", m.Remedy()))
		}
	}
}

// missingPrivileges reads the privileges that the users lack, on the set and on the sink.
func (d *daemon) missingPrivileges(ctx context.Context, db *mongo.Database) ([]privileges.Missing, error) {
	view, err := replicaset.Discover(ctx, d.seeds)
	if err != nil {
		return nil, err
	}
	candidates := view.Candidates(d.cfg.ReadPreference)
	if len(candidates) == 0 {
		return nil, errors.New("no member matches the read preference")
	}
	client, err := replicaset.Connect(ctx, d.seeds.Options, candidates[0].Host)
	if err != nil {
		return nil, err
	}
	defer disconnect(client)
	u := use(d.cfg)
	if u.MajorVersion, err = privileges.MajorVersion(ctx, client); err != nil {
		return nil, err
	}
	users := map[privileges.Deployment]privileges.User{}
	if users[privileges.Tailed], err = privileges.Read(ctx, client); err != nil {
		return nil, err
	}
	if users[privileges.Sink], err = privileges.Read(ctx, db.Client()); err != nil {
		return nil, err
	}
	return u.MissingOf(users, d.cfg.Sink.Same(d.cfg.MongoDB)), nil
}

// number counts the missing rows that are not optional.
func number(missing []privileges.Missing) int {
	n := 0
	for _, m := range missing {
		n += len(m.Of(privileges.Required, privileges.RequiredOnce, privileges.Configured))
	}
	return n
}

func texts(missing []privileges.Missing) string {
	var all []privileges.Privilege
	for _, m := range missing {
		all = slices.Concat(all, m.Privileges())
	}
	return privileges.Text(all)
}
