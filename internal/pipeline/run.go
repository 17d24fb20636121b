// Package pipeline runs oplog entries through decoding and detection to the sinks, and
// then advances the checkpoint.
//
// One goroutine runs all stages: DDL is rare and its order matters. A checkpoint is never
// saved before every sink has acknowledged everything before it.
package pipeline

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.uber.org/zap"

	"github.com/ddltail/ddltail/internal/oplog"
	"github.com/ddltail/ddltail/internal/recovery"
	"github.com/ddltail/ddltail/internal/replicaset"
	"github.com/ddltail/ddltail/internal/retry"
	"github.com/ddltail/ddltail/internal/usererror"
)

const (
	// idleCheckpointInterval is how often the checkpoint advances while there are no changes.
	idleCheckpointInterval = 10 * time.Second
	// maxBackoff is the longest pause, without jitter, between two attempts.
	maxBackoff = 10 * time.Second
	// progressEvery is how often a catch-up logs its position.
	progressEvery = 5 * time.Second
)

// Run tails until the context ends, then returns nil. It reopens the oplog after temporary
// errors, and returns permanent ones.
func (p *Pipeline) Run(ctx context.Context) error {
	pause := retry.NewBackOff(maxBackoff)
	for {
		err := p.tail(ctx, pause.Reset)
		if ctx.Err() != nil {
			return nil
		}
		p.Metrics.Tailing.Set(0)
		if err == nil {
			// The position has changed: this process or another one recovered from a gap.
			continue
		}
		p.Status.notTailing(err)
		p.TailCredentials.Failed(err)
		if usererror.IsFinal(err) && !replicaset.CredentialsRefused(err) {
			return err
		}
		errors.As(err, &p.chain)
		reason := oplog.ReasonOf(err)
		p.Metrics.Reopens.WithLabelValues(string(reason)).Inc()
		wait := pause.NextBackOff()
		p.Log.Warn("oplog read failed; reopening",
			zap.String("reason", string(reason)), zap.String("state", string(p.phase.State())), zap.Duration("in", wait), zap.Error(err))
		if !retry.Sleep(ctx, wait) {
			return nil
		}
	}
}

// BuildIndexes creates the indexes that own collections with documents lack, until the
// context ends.
func (p *Pipeline) BuildIndexes(ctx context.Context) error { return p.indexes.Run(ctx) }

// tail reads from one member until an error, or until the position was changed by a
// recovery. It calls healthy after every successful read.
func (p *Pipeline) tail(ctx context.Context, healthy func()) error {
	p.enter(recovery.Reloading)
	p.loaded = loaded{}
	if err := p.reload(ctx); err != nil {
		return err
	}
	opened, err := p.open(ctx)
	var gone *recovery.LostError
	if errors.As(err, &gone) {
		return p.recoverGap(ctx, gone)
	}
	if err != nil {
		return err
	}
	defer opened.Close()
	member := opened.Member.Member
	p.unlisted.next = time.Time{} // the server may have been upgraded
	p.enter(recovery.Tailing)
	p.Log.Info("reading the oplog", zap.String("member", member.Host), zap.Stringer("from", p.position))
	for {
		batch, err := opened.Reader.Next(ctx)
		if err != nil {
			return err
		}
		healthy()
		p.TailCredentials.Worked()
		p.recordProgress(batch)
		if err := p.observeMember(ctx, member); err != nil {
			return err
		}
		if err := p.publishBatch(ctx, member, batch); err != nil {
			return err
		}
		if err := p.retakeSnapshot(ctx, member); err != nil {
			return err
		}
		if err := p.relist(ctx, member, batch); err != nil {
			return err
		}
		if err := p.saveIdle(ctx, member, batch.Scanned); err != nil {
			return err
		}
		if err := p.reconcile(ctx, member, batch); err != nil {
			return err
		}
	}
}

// enter changes the state.
func (p *Pipeline) enter(to recovery.State) {
	from := p.phase.State()
	if from == to && to == recovery.Tailing {
		return
	}
	if !p.phase.Enter(to) {
		p.Log.Error("unexpected state transition", zap.String("from", string(from)), zap.String("to", string(to)))
		return
	}
	p.Log.Debug("state", zap.String("from", string(from)), zap.String("to", string(to)))
}

// reload synchronizes the state in memory with the stored state: it publishes a recorded
// comparison and continues from there, and reloads the catalog if detection was ahead of the
// position.
func (p *Pipeline) reload(ctx context.Context) error {
	settled, err := p.publishComparison(ctx)
	if err != nil {
		return err
	}
	if settled {
		stored, err := p.load(ctx)
		if err != nil {
			return err
		}
		return p.applyStored(ctx, stored)
	}
	if p.detected {
		return p.reloadCatalog(ctx)
	}
	return nil
}

// recordProgress updates metrics and status after a read.
func (p *Pipeline) recordProgress(b oplog.Batch) {
	p.Metrics.Entries.Add(float64(len(b.Entries)))
	p.Metrics.Position.Set(float64(b.Scanned.T))
	p.Status.read(b.Scanned, b.Tailing)
	if b.Tailing {
		p.Metrics.Tailing.Set(1)
		return
	}
	p.Metrics.Tailing.Set(0)
	if time.Since(p.progressLoggedAt) > progressEvery {
		p.progressLoggedAt = time.Now()
		at := oplog.OpTime{TS: b.Scanned}
		p.Log.Info("catching up", zap.Time("position", at.Time()),
			zap.Duration("behind", b.Head.Time().Sub(at.Time())))
	}
}

// saveIdle advances the checkpoint while there are no changes. An entry written by ddltail
// itself does not count: saving at it would write the next one.
func (p *Pipeline) saveIdle(ctx context.Context, m oplog.Member, scanned bson.Timestamp) error {
	if time.Since(p.savedAt) < idleCheckpointInterval || !scanned.After(p.saved.TS) {
		return nil
	}
	at, ok, err := m.At(ctx, scanned)
	if err != nil {
		return err
	}
	if !ok {
		return fmt.Errorf("save the position: no entry at %d:%d on %s", scanned.T, scanned.I, m.Host)
	}
	if slices.Contains(p.Own, at.NS) {
		return nil
	}
	moment := oplog.Moment{OpTime: at.OpTime, Wall: at.Wall}
	if err := p.save(ctx, moment); err != nil {
		return err
	}
	p.setPosition(moment)
	return nil
}
