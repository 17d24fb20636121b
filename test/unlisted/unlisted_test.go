package unlisted

import (
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo/options"
	"go.mongodb.org/mongo-driver/v2/mongo/writeconcern"
)

// TestUnlisted takes a set with every kind of object that a server cannot list through all
// occasions on which ddltail lists it. What can be listed is reported as on any other set; of
// the rest nothing is inferred, and its entries are reported.
func TestUnlisted(t *testing.T) {
	for name, knownBefore := range map[string]bool{"at a first run": false, "known before": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newScene(t)
			s.makeOld()
			if knownBefore {
				s.stop(s.start())
			}
			s.upgrade()
			if knownBefore {
				p := s.start()
				s.makeNew()
				s.reports("known")
				s.stop(p)
			} else {
				s.makeNew()
			}
			s.firstRun(knownBefore)
			s.gap()
			s.lostCheckpoint()
			s.reconcile(knownBefore)
			s.ownDropped(knownBefore)
		})
	}
}

// makeOld makes what later versions cannot list, and what they can.
func (s *scene) makeOld() {
	for _, coll := range []string{"fine", "gone", "lax_sparse", "lax_background"} {
		s.create("shop", coll)
	}
	s.index("shop", "fine", "a")
	if s.major == 5 { // the others list such options
		s.index("shop", "lax_sparse", "lax", bson.E{Key: "sparse", Value: "x"})
		s.index("shop", "lax_background", "lax", bson.E{Key: "background", Value: bson.D{{Key: "a", Value: 1}}})
	}
	s.create("badviews", "good")
	s.index("badviews", "good", "a")
	s.view("badviews", "okview", "good")
	s.create("later", "good")
	// A view of the name of a collection has no effect while the collection exists.
	s.create("shop", "twice")
	s.index("shop", "twice", "a")
	s.view("shop", "first_view", "fine")
	s.run("shop", bson.D{{Key: "drop", Value: "first_view"}})
	s.views("i", "shop", bson.D{{Key: "_id", Value: "shop.twice"}, {Key: "viewOn", Value: "fine"}, {Key: "pipeline", Value: bson.A{}}})
	s.view("later", "later", "system.buckets.nosuch")
}

// makeNew makes what is refused by the server that it is made on.
func (s *scene) makeNew() {
	s.views("i", "badviews", bson.D{{Key: "_id", Value: "badviews.broken"}, {Key: "viewOn", Value: "good"}, {Key: "pipeline", Value: "x"}})
	if s.major == 4 {
		return
	}
	for _, coll := range []string{"half_view", "half_buckets", "whole"} {
		s.create("series", coll, bson.E{Key: "timeseries", Value: bson.D{{Key: "timeField", Value: "t"}, {Key: "metaField", Value: "m"}}})
	}
	// The drop of a view on buckets drops the buckets, too.
	s.view("series", "dropped", "system.buckets.half_view")
	s.run("series", bson.D{{Key: "drop", Value: "dropped"}})
	s.views("d", "series", bson.D{{Key: "_id", Value: "series.half_buckets"}})
	s.view("series", "own", "system.buckets.whole")
	s.index("series", "whole", "m")
	s.unused()
}

// unused makes what servers list, or omit, and do not use: an index on buckets without a form
// for users, an ordinary collection with the name of buckets, buckets with the name of a collection.
func (s *scene) unused() {
	s.index("series", "system.buckets.whole", "nosuch")
	s.create("series", "both")
	for name, fields := range map[string]bson.D{"ordinary": {}, "both": {{Key: "timeseries", Value: bson.D{{Key: "timeField", Value: "t"}}}, {Key: "clusteredIndex", Value: true}}} {
		s.admin(bson.D{{Key: "applyOps", Value: bson.A{bson.D{{Key: "op", Value: "c"}, {Key: "ns", Value: "series.$cmd"},
			{Key: "o", Value: append(bson.D{{Key: "create", Value: "system.buckets." + name}}, fields...)}}}}})
	}
	s.views("i", "series", bson.D{{Key: "_id", Value: "series.both"}, {Key: "viewOn", Value: "system.buckets.both"},
		{Key: "pipeline", Value: bson.A{bson.D{{Key: "$_internalUnpackBucket", Value: bson.D{{Key: "timeField", Value: "t"}, {Key: "bucketMaxSpanSeconds", Value: 3600}}}}}}})
}

// parts are what the server cannot list, as status names them.
func (s *scene) parts(ownViewKnown bool) []string {
	parts := []string{"views of badviews"}
	if s.major == 5 {
		parts = append(parts, "shop.lax_sparse", "shop.lax_background")
	}
	if s.major > 4 {
		parts = append(parts, "later.later", "series.half_view", "series.half_buckets")
	}
	if s.major > 4 && ownViewKnown {
		parts = append(parts, "series.own")
	}
	slices.Sort(parts)
	return parts
}

// checkStatus sees a healthy status that names each part.
func (s *scene) checkStatus(ownViewKnown bool) {
	s.Helper()
	r := s.status()
	var got []string
	for _, line := range r.Catalog.Unlisted {
		part, reason, _ := strings.Cut(line, " cannot be listed: ")
		if len(reason) < 10 {
			s.Errorf("without the server's reason: %s", line)
		}
		got = append(got, part)
	}
	if want := s.parts(ownViewKnown); !slices.Equal(got, want) {
		s.Errorf("status names %q, want %q", got, want)
	}
	if len(r.Catalog.Differences) != 0 || !r.Catalog.Compared {
		s.Errorf("the catalog is %+v", r.Catalog)
	}
	s.checkDrift()
}

// checkDrift sees `drift --exact` fail with each part: what cannot be listed is not known to be
// undeclared.
func (s *scene) checkDrift() {
	s.Helper()
	file := filepath.Join(s.TempDir(), "declared.js")
	s.must(os.WriteFile(file, []byte("use declared\ndb.createCollection('x')"), 0o600))
	p := s.launch([]string{"drift", file, "--exact"})
	code, err := p.Wait(s.Context())
	s.must(err)
	if code != 1 || p.Stdout() != "" || !strings.Contains(p.Stderr(), "not compared: the server cannot list ") {
		s.Errorf("drift --exact exits with %d: %s%s", code, p.Stdout(), p.Stderr())
	}
}

// checkInferred compares what has been inferred so far.
func (s *scene) checkInferred(want ...string) {
	s.Helper()
	got := s.history("snapshot")
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		s.Errorf("inferred is\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// checkKnown compares the catalog of a database, without what was dropped.
func (s *scene) checkKnown(db string, want map[string]string) {
	s.Helper()
	var got map[string]string
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		got = s.known(db)
		maps.DeleteFunc(got, func(_, kind string) bool { return kind == "dropped" })
		if maps.Equal(got, want) {
			return
		}
	}
	s.Fatalf("of %s %v is known, want %v", db, got, want)
}

// checkCatalog compares the catalog of the databases with parts that cannot be listed.
func (s *scene) checkCatalog(knownBefore bool, shop ...string) {
	s.Helper()
	want := map[string]string{"fine": "collection", "twice": "collection"}
	for _, coll := range shop {
		want[coll] = "collection"
	}
	views, later, series := map[string]string{"good": "collection"}, map[string]string{"good": "collection"}, map[string]string{"whole": "timeseries", "both": "collection"}
	if knownBefore || s.major != 5 {
		want["lax_sparse"], want["lax_background"] = "collection", "collection"
	}
	if knownBefore || s.major == 4 {
		later["later"] = "view"
	}
	if knownBefore {
		views["okview"], views["broken"], series["half_buckets"], series["own"] = "view", "view", "timeseries", "view"
	}
	s.checkKnown("shop", want)
	s.checkKnown("badviews", views)
	s.checkKnown("later", later)
	if s.major > 4 {
		s.checkKnown("series", series)
	}
}

// firstRun starts on such a set, for the first time or again.
func (s *scene) firstRun(knownBefore bool) {
	p := s.start()
	if !knownBefore {
		s.unlisted(p, len(s.parts(false)))
		if n := strings.Count(p.Stderr(), "server cannot list some namespaces"); n != 1 {
			s.Errorf("%d warnings, want one", n)
		}
	}
	s.checkCatalog(knownBefore, "gone")
	before := len(s.history("oplog"))
	s.index("shop", "lax_sparse", "b")
	s.index("badviews", "good", "b")
	s.create("shop", "new")
	s.views("i", "shop", bson.D{{Key: "_id", Value: "shop.fine"}, {Key: "viewOn", Value: "new"}, {Key: "pipeline", Value: bson.A{}}})
	s.views("d", "shop", bson.D{{Key: "_id", Value: "shop.twice"}})
	s.reports("first")
	want := []string{"CREATE_INDEX shop.lax_sparse b_1", "CREATE_INDEX badviews.good b_1", "CREATE_COLLECTION shop.new", "CREATE_VIEW shop.fine", "DROP_VIEW shop.twice", "CREATE_COLLECTION marks.first"}
	if got := s.history("oplog")[before:]; !slices.Equal(got, want) {
		s.Errorf("reported are %q, want %q", got, want)
	}
	s.checkInferred()
	s.checkCatalog(knownBefore, "gone", "new")
	s.checkStatus(knownBefore)
	s.stop(p)
}

// gap loses history that touches what can be listed and what cannot.
func (s *scene) gap() {
	s.run("shop", bson.D{{Key: "drop", Value: "gone"}})
	s.create("shop", "made")
	s.index("badviews", "good", "lost")
	s.index("shop", "lax_background", "lost")
	s.rollOver()
	s.index("shop", "lax_background", "held")
	p := s.start()
	s.reports("behind_the_gap")
	s.checkInferred(s.behindTheGap()...)
	if got := s.history("oplog"); !slices.Contains(got, "CREATE_INDEX shop.lax_background held_1") {
		s.Errorf("the index behind the gap is not reported: %q", got)
	}
	s.stop(p)
}

func (s *scene) behindTheGap() []string {
	inferred := []string{"HISTORY_GAP ", "DROP_COLLECTION shop.gone", "CREATE_COLLECTION shop.made", "CREATE_INDEX badviews.good lost_1"}
	if s.major != 5 {
		inferred = append(inferred, "CREATE_INDEX shop.lax_background lost_1")
	}
	return inferred
}

// lostCheckpoint deletes the stored checkpoint while ddltail is down.
func (s *scene) lostCheckpoint() {
	// ddltail reads what a majority has; before 5.0 that is not the default of writes.
	checkpoints := s.client.Database(audit).Collection("schema_checkpoints", options.Collection().SetWriteConcern(writeconcern.Majority()))
	_, err := checkpoints.DeleteMany(s.Context(), bson.D{})
	s.must(err)
	s.create("shop", "while_down")
	p := s.start()
	s.reports("lost_checkpoint")
	s.checkInferred(append(s.behindTheGap(), "HISTORY_GAP ")...)
	s.stop(p)
}

// reconcile compares the catalogs.
func (s *scene) reconcile(knownBefore bool) {
	checkpoints := s.client.Database(audit).Collection("schema_checkpoints")
	_, err := checkpoints.UpdateMany(s.Context(), bson.D{}, bson.D{{Key: "$unset", Value: bson.D{{Key: "compared", Value: ""}}}})
	s.must(err)
	p := s.start("DDLTAIL_RECONCILE=start")
	s.until("the catalogs are compared", func() bool {
		return checkpoints.FindOne(s.Context(), bson.D{{Key: "compared", Value: bson.D{{Key: "$exists", Value: true}}}}).Err() == nil
	})
	s.reports("reconciled")
	s.checkInferred(append(s.behindTheGap(), "HISTORY_GAP ")...)
	s.unlisted(p, len(s.parts(knownBefore)))
	s.checkStatus(knownBefore)
	s.stop(p)
}

// ownDropped drops all that ddltail has stored while it runs, and then makes each part fit to be listed.
func (s *scene) ownDropped(knownBefore bool) {
	p := s.start()
	s.unlisted(p, len(s.parts(knownBefore)))
	for _, coll := range []string{"schema_notifications", "schema_history", "schema_catalog", "schema_checkpoints"} {
		s.run(audit, bson.D{{Key: "drop", Value: coll}})
	}
	s.reports("own_dropped")
	s.checkInferred()
	s.checkCatalog(knownBefore, "new", "made", "while_down")
	s.checkStatus(knownBefore)
	s.heal()
	s.unlisted(p, 0)
	s.checkInferred()
	s.stop(p)
	if r := s.status(); len(r.Catalog.Unlisted) != 0 {
		s.Errorf("status still names %q", r.Catalog.Unlisted)
	}
}

// heal changes each part, by an entry on it, so that it can be listed. It enters the catalog at once.
func (s *scene) heal() {
	s.views("d", "badviews", bson.D{{Key: "_id", Value: "badviews.broken"}})
	s.checkKnown("badviews", map[string]string{"good": "collection", "okview": "view"})
	if s.major == 4 {
		return
	}
	if s.major == 5 {
		s.run("shop", bson.D{{Key: "dropIndexes", Value: "lax_sparse"}, {Key: "index", Value: "lax_1"}})
		s.until("lax_sparse is listed", func() bool { return s.known("shop")["lax_sparse"] == "collection" })
		s.admin(bson.D{{Key: "renameCollection", Value: "shop.lax_background"}, {Key: "to", Value: "shop.renamed"}})
		s.run("shop", bson.D{{Key: "dropIndexes", Value: "renamed"}, {Key: "index", Value: "lax_1"}})
		s.until("renamed is listed", func() bool { return s.known("shop")["renamed"] == "collection" })
	}
	s.run("later", bson.D{{Key: "collMod", Value: "later"}, {Key: "viewOn", Value: "good"}, {Key: "pipeline", Value: bson.A{}}})
	s.checkKnown("later", map[string]string{"good": "collection", "later": "view"})
	s.run("series", bson.D{{Key: "collMod", Value: "own"}, {Key: "viewOn", Value: "whole"}, {Key: "pipeline", Value: bson.A{}}})
	s.run("series", bson.D{{Key: "drop", Value: "half_view"}})
	s.views("i", "series", bson.D{{Key: "_id", Value: "series.half_buckets"}, {Key: "viewOn", Value: "system.buckets.half_buckets"},
		{Key: "pipeline", Value: bson.A{bson.D{{Key: "$_internalUnpackBucket", Value: bson.D{{Key: "timeField", Value: "t"}, {Key: "metaField", Value: "m"},
			{Key: "bucketMaxSpanSeconds", Value: 3600}}}}}}})
	s.checkKnown("series", map[string]string{"whole": "timeseries", "both": "collection", "half_buckets": "timeseries", "own": "view"})
}
