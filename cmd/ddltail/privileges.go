package main

import (
	"context"
	"errors"
	"slices"
	"time"

	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.uber.org/zap"

	"github.com/ddltail/ddltail/internal/config"
	"github.com/ddltail/ddltail/internal/privileges"
	"github.com/ddltail/ddltail/internal/replicaset"
	"github.com/ddltail/ddltail/internal/retry"
)

// privilegesEvery is how often `run` reads what its user may do.
const privilegesEvery = 10 * time.Minute

// use is what `run` does with a configuration.
func use(cfg config.Config) privileges.Use {
	return privileges.Use{Database: cfg.Database, HistoryTTL: cfg.HistoryTTL > 0, Actor: cfg.Actor.On(), GetLog: cfg.Actor.GetLog, NoQueue: !writesQueue(cfg)}
}

// watchPrivileges keeps the metric of missing privileges, and logs each change: a privilege
// that is revoked shows elsewhere only when it is needed.
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
			d.metrics.PrivilegesMissing.Set(float64(number(missing)))
			if text := texts(missing); text != logged {
				d.logMissing(missing)
				logged = text
			}
		}
		if !retry.Sleep(ctx, privilegesEvery) {
			return nil
		}
	}
}

func (d *daemon) logMissing(missing []privileges.Missing) {
	for _, m := range missing {
		for _, n := range m.Needs {
			log := d.log.Warn
			if n.Effect == privileges.Optional {
				log = d.log.Info
			}
			log("privileges are missing", zap.String("privileges", privileges.Text(n.Privileges)),
				zap.String("without", n.Without), zap.String("remedy", m.Remedy()))
		}
	}
	if len(missing) == 0 {
		d.log.Info("no privilege is missing any more")
	}
}

// missingPrivileges reads what the users lack, on the set and on the sink.
func (d *daemon) missingPrivileges(ctx context.Context, db *mongo.Database) ([]privileges.Missing, error) {
	view, err := replicaset.Discover(ctx, d.seeds)
	if err != nil {
		return nil, err
	}
	candidates := view.Candidates(d.cfg.ReadPreference)
	if len(candidates) == 0 {
		return nil, errors.New("no member fits the read preference")
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
	var all []privileges.Missing
	for _, on := range []struct {
		deployment privileges.Deployment
		client     *mongo.Client
	}{{privileges.Tailed, client}, {privileges.Sink, db.Client()}} {
		user, err := privileges.Read(ctx, on.client)
		if err != nil {
			return nil, err
		}
		if m := user.Missing(u, u.Needs(on.deployment)); len(m.Needs) > 0 {
			all = append(all, m)
		}
	}
	return all, nil
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
