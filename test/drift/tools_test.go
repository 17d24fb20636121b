package drift

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ddltail/ddltail/test/fetch"
	"github.com/ddltail/ddltail/test/mongotest"
)

const migration = `module.exports = {
  async up(db) {
    await db.createCollection('orders', {validator: {total: {$type: 'number'}}, validationLevel: 'moderate'});
    await db.collection('orders').createIndexes([
      {key: {customer: 1, at: -1}, name: 'by_customer', collation: {locale: 'en', strength: 2}},
      {key: {email: 1}, name: 'email_1', unique: true},
      {key: {at: 1}, name: 'at_1', expireAfterSeconds: 86400},
      {key: {title: 'text', body: 'text'}, name: 'words', weights: {title: 5}},
    ]);
    await db.createCollection('log', {capped: true, size: 4096});
    await db.createCollection('big', {viewOn: 'orders', pipeline: [{$match: {total: {$gt: 100}}}]});
  },
  async down() {},
};`

const models = `const mongoose = require('mongoose');
const orders = new mongoose.Schema({
  customer: String, title: {type: String, text: true}, email: {type: String, unique: true}, at: {type: Date, expires: 86400},
  place: {type: [Number], index: '2dsphere'}, lines: [{sku: {type: String, index: true, sparse: true}}],
}, {collection: 'orders'});
orders.index({customer: 1, at: -1}, {partialFilterExpression: {customer: {$exists: true}}, collation: {locale: 'en', strength: 2}});
mongoose.model('Order', orders);
mongoose.model('Log', new mongoose.Schema({text: String}, {collection: 'log', capped: 4096}));
(async () => {
  await mongoose.connect(process.argv[2], {dbName: process.argv[3], autoIndex: false, autoCreate: false});
  for (const model of Object.values(mongoose.models)) {
    await model.createCollection();
    await model.syncIndexes();
  }
  await mongoose.disconnect();
})();`

// TestTools uses an empty server on which a migration tool has run as the declaration of a
// live one with five changes by hand. An index created by hand is dropped only with
// --allow-destructive.
func TestTools(t *testing.T) {
	packages, err := fetch.Path(t.Context(), "node-deps.sh")
	if err != nil {
		t.Fatal(err)
	}
	modules := filepath.Join(packages, "node_modules")
	empty := mongotest.NewStandalone(t, mongotest.Options{})
	variables := []string{"DDLTAIL_MONGODB_URI=" + set.URI(), "DDLTAIL_DATABASE=none"}
	for _, tool := range []struct {
		name string
		run  func(t *testing.T, modules, uri, db string)
	}{{"migrate", migrateMongo}, {"mongoose", mongooseModels}} {
		t.Run(tool.name, func(t *testing.T) {
			db := "shop_" + tool.name
			for _, uri := range []string{empty.URI(), set.URI()} {
				tool.run(t, modules, uri, db)
			}
			drift := func(more ...string) answer {
				return ddltail(t, variables, append([]string{"drift", empty.URI(), "--ns", db + ".*"}, more...)...)
			}
			drift("--exact").want(t, 0)
			live := mongotest.Connect(t, set.URI()).Database(db)
			changes(t, live)
			want := []string{"different:%.orders", "different:%.orders:at_1", "missing:%.log", "missing:%.orders:email_1", "unexpected:%.orders:amount_1"}
			for i := range want {
				want[i] = strings.ReplaceAll(want[i], "%", db)
			}
			if got := drift("--format", "json").report(t).ids(); !slices.Equal(got, want) {
				t.Errorf("got %q, want %q", got, want)
			}
			keeping := drift("--format", "mongosh").want(t, 3)
			if wrong := destructive(keeping); len(wrong) > 0 {
				t.Errorf("%q are executed in\n%s", wrong, keeping)
			}
			shell(t, set.URI(), keeping)
			if got, want := drift("--format", "json").report(t).ids(), []string{want[1], want[4]}; !slices.Equal(got, want) {
				t.Errorf("after the script: %q, want %q", got, want)
			}
			shell(t, set.URI(), drift("--format", "mongosh", "--allow-destructive").want(t, 3))
			drift().want(t, 0)
		})
	}
}

func migrateMongo(t *testing.T, modules, uri, db string) {
	t.Helper()
	dir := t.TempDir()
	config := fmt.Sprintf("module.exports = {mongodb: {url: '%s', databaseName: '%s'}, migrationsDir: 'migrations', "+
		"changelogCollectionName: 'changelog', migrationFileExtension: '.js', moduleSystem: 'commonjs'};", uri, db)
	for _, err := range []error{
		os.Symlink(modules, filepath.Join(dir, "node_modules")), os.Mkdir(filepath.Join(dir, "migrations"), 0o700),
		os.WriteFile(filepath.Join(dir, "migrations", "20260101000000-orders.js"), []byte(migration), 0o600),
		os.WriteFile(filepath.Join(dir, "migrate-mongo-config.js"), []byte(config), 0o600),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	node(t, dir, filepath.Join(modules, ".bin", "migrate-mongo"), "up")
}

func mongooseModels(t *testing.T, modules, uri, db string) {
	t.Helper()
	dir := t.TempDir()
	file := filepath.Join(dir, "models.js")
	for _, err := range []error{os.Symlink(modules, filepath.Join(dir, "node_modules")), os.WriteFile(file, []byte(models), 0o600)} {
		if err != nil {
			t.Fatal(err)
		}
	}
	node(t, dir, "node", file, uri, db)
}

func node(t *testing.T, dir, name string, args ...string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", name, err, out)
	}
}
