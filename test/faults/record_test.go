package faults

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"github.com/ddltail/ddltail/internal/schema"
	"github.com/ddltail/ddltail/test/ddlgen"
	"github.com/ddltail/ddltail/test/faults/ledger"
	"github.com/ddltail/ddltail/test/faults/verdict"
)

// record is the record of a scenario, which is judged at its end.
type record struct {
	ledger ledger.Ledger
	oplog  *ledger.Oplog
	// made are the changes read from the oplog, up to the timestamp read.
	made []ledger.Change
	read bson.Timestamp
	// began is the newest entry of the sinks' deployment when the scenario began; earlier entries belong to other
	// scenarios.
	began bson.Timestamp
	lost  ledger.Lost
	// unrecorded are the databases in which the scenario changes something without recording it in the
	// ledger.
	unrecorded []string
	// others are the sinks in addition to queue and history; received are the writes to
	// them.
	others   []ledger.Sink
	received []ledger.Write
	// judged is the last judged run.
	judged ledger.Run
}

func newRecord(t *testing.T, client *mongo.Client) record {
	began := must[bson.Timestamp](t)(newest(t.Context(), client))
	return record{oplog: ledger.NewOplog(client, database), began: began}
}

// newest returns the timestamp of the newest entry of an oplog.
func newest(ctx context.Context, client *mongo.Client) (bson.Timestamp, error) {
	entry, err := client.Database("local").Collection("oplog.rs").FindOne(ctx, bson.D{},
		options.FindOne().SetSort(bson.D{{Key: "$natural", Value: -1}})).Raw()
	if err != nil {
		return bson.Timestamp{}, fmt.Errorf("read the newest entry: %w", err)
	}
	return timestamp(entry.Lookup("ts")), nil
}

// finish stops the load, waits until everything is published, stops all ddltails, and returns the timestamp of the
// end.
func (s *scene) finish() bson.Timestamp {
	s.Helper()
	return s.finishAfter(func(bson.Timestamp) {})
}

// finishAfter is finish, but calls wait with the end before it stops the ddltails.
func (s *scene) finishAfter(wait func(end bson.Timestamp)) bson.Timestamp {
	s.Helper()
	if s.load != nil {
		s.must(s.load.Stop(s.Context()))
		s.load = nil
	}
	s.must(s.set.WaitReady(s.Context()))
	end := s.mark("the_end")
	s.published("notifications", end)
	wait(end)
	for len(s.running) > 0 {
		s.stop(s.running[0])
	}
	return end
}

// check finishes the scenario and judges it.
func (s *scene) check() verdict.Verdict {
	s.Helper()
	return s.judge(s.finish())
}

// judge records the run up to its end, and fails the test if a guarantee is violated.
func (s *scene) judge(end bson.Timestamp) verdict.Verdict {
	s.Helper()
	s.must(s.recordRun(s.Context(), end))
	v := verdict.Judge(s.judged)
	s.Logf("%s", v.Summary())
	if !v.Sound() {
		s.Errorf("%s", v)
	}
	for _, limit := range v.Limits {
		s.Logf("known limit: %s", limit)
	}
	return v
}

// readOplog reads the changes up to a timestamp. A scenario that truncates the oplog must call it before that.
func (s *scene) readOplog(ctx context.Context, upTo bson.Timestamp) error {
	from := s.from
	if s.read.After(from) {
		from = s.read
	}
	made, err := s.oplog.Read(ctx, from, upTo)
	if err == nil {
		s.made, s.read = append(s.made, made...), upTo
	}
	return err
}

func (s *scene) recordRun(ctx context.Context, end bson.Timestamp) error {
	s.judged = ledger.Run{
		Header: ledger.Header{
			Test: s.Name(), At: time.Now(), Source: source, Database: database, After: s.from, UpTo: end, Lost: s.lost,
			Sinks: append([]ledger.Sink{{Name: ledger.History}, {Name: ledger.Queue}}, s.others...), Unrecorded: sortedSet(append(s.unrecorded, "marks", "filler")),
		},
		Statements: s.ledger.Statements(),
	}
	if err := s.readOplog(ctx, end); err != nil {
		return err
	}
	s.judged.Changes = s.made
	writes, err := ledger.ReadWrites(ctx, s.sink, database, s.began)
	if err != nil {
		return err
	}
	s.judged.Writes = append(writes, s.received...)
	names, err := s.client.ListDatabaseNames(ctx, notOfTheServer())
	if err != nil {
		return err
	}
	s.judged.Listed, s.judged.Listing = verdict.Listing(ddlgen.Listed(ctx, s, s.client, names)), true
	if s.judged.Halves, err = halves(ctx, s.client, names); err != nil {
		return err
	}
	var build struct{ Version string }
	err = s.client.Database("admin").RunCommand(ctx, bson.D{{Key: "buildInfo", Value: 1}}).Decode(&build)
	s.judged.Server = build.Version
	return err
}

// halves returns the time series of which only the buckets exist.
func halves(ctx context.Context, client *mongo.Client, databases []string) ([]string, error) {
	var found []string
	for _, db := range databases {
		all, err := client.Database(db).ListCollectionNames(ctx, bson.D{})
		if err != nil {
			return nil, fmt.Errorf("list the collections of %s: %w", db, err)
		}
		for _, name := range all {
			if series, ok := strings.CutPrefix(name, schema.BucketsPrefix); ok && !slices.Contains(all, series) {
				found = append(found, db+"."+series)
			}
		}
	}
	return found, nil
}

func sortedSet(all []string) []string { return slices.Compact(slices.Sorted(slices.Values(all))) }

// ledgerDir is the folder in which the record of every run is kept.
func ledgerDir() string { return os.Getenv("DDLTAIL_LEDGER_DIR") }

// keep stores the record of the run, if it failed or if DDLTAIL_LEDGER_DIR is set.
func (s *scene) keep() {
	s.Helper()
	if !s.Failed() && ledgerDir() == "" || s.from.IsZero() {
		return
	}
	path, err := s.store()
	if err != nil {
		s.Logf("the record of this run is not kept: %v", err)
		return
	}
	s.Logf("the record of this run: go run ./test/faults/check %s", path)
}

func (s *scene) store() (string, error) {
	if s.judged.Test == "" {
		// The test failed before its end.
		ctx, cancel := context.WithTimeout(context.WithoutCancel(s.Context()), 10*time.Second)
		defer cancel()
		end, err := newest(ctx, s.client)
		if err != nil {
			return "", err
		}
		if err := s.recordRun(ctx, end); err != nil {
			return "", err
		}
	}
	dir := ledgerDir()
	if dir == "" {
		dir = filepath.Join(os.TempDir(), "ddltail-ledger")
	}
	if err := os.MkdirAll(dir, 0o750); err != nil {
		return "", err
	}
	name := strings.ReplaceAll(s.Name(), "/", "_") + s.judged.At.UTC().Format("-20060102T150405.000") + ".jsonl"
	file, err := os.Create(filepath.Join(dir, name))
	if err != nil {
		return "", err
	}
	_, err = s.judged.WriteTo(file)
	return file.Name(), errors.Join(err, file.Close())
}
