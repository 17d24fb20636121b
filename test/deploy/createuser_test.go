package deploytest

import (
	"errors"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"

	"github.com/ddltail/ddltail/test/mongotest"
)

const (
	codeUnauthorized         = 13
	codeAuthenticationFailed = 18
	// password contains characters that must be escaped in URIs, shells and scripts.
	password = `s3cr/t:"@'\%é`
)

// createUser runs create-user.js as documented in its first lines, and fails if a password is left
// in output or files.
func createUser(t *testing.T, adminURI string, variables ...string) (string, int) {
	t.Helper()
	home := shellHome(t)
	out, code := program{
		args: []string{mongosh(t), adminURI, "--quiet", "--norc", "--file", filepath.Join(deploy, "create-user.js")},
		env:  append([]string{"HOME=" + home}, variables...),
	}.run(t)
	hidden(t, "the output", out)
	ok(t, filepath.WalkDir(home, func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() {
			hidden(t, path, read(t, path))
		}
		return err
	}))
	return out, code
}

func hidden(t *testing.T, where, text string) {
	t.Helper()
	for _, form := range []string{password, `s3cr/t`, `s3cr%2Ft`} {
		if strings.Contains(text, form) {
			t.Fatalf("the password is in %s", where)
		}
	}
}

// created runs create-user.js for a user and a database of the same name, and returns the
// user's URI as it prints it, with the password.
func created(t *testing.T, name string) string {
	t.Helper()
	out, code := createUser(t, secured.URI(), "DDLTAIL_USER="+name, "DDLTAIL_DATABASE="+name, "DDLTAIL_PASSWORD="+password)
	if code != 0 || !strings.Contains(out, "ddltail_run_"+name) {
		t.Fatalf("exit %d: %s", code, out)
	}
	for line := range strings.Lines(out) {
		if strings.HasPrefix(line, "mongodb://"+name+":PASSWORD@") && strings.Contains(line, "/"+name+"?") {
			return strings.Replace(strings.TrimSpace(line), "PASSWORD", url.QueryEscape(password), 1)
		}
	}
	t.Fatalf("no URI is printed: %s", out)
	return ""
}

// asRoot returns a client with the server's root user.
func asRoot(t *testing.T) *mongo.Client { return mongotest.Connect(t, secured.URI()) }

func refused(err error, code int) bool {
	var se mongo.ServerError
	return errors.As(err, &se) && se.HasErrorCode(code)
}

func TestCreatedUserRuns(t *testing.T) {
	t.Parallel()
	uri := created(t, "audit")
	p := startReady(t, "DDLTAIL_MONGODB_URI="+uri, "DDLTAIL_DATABASE=audit")
	admin := asRoot(t)
	published := admin.Database("audit").Collection("schema_notifications")
	change(t, admin, "audit", "before")

	// Again, with another password, while ddltail runs.
	file := filepath.Join(t.TempDir(), "password")
	ok(t, os.WriteFile(file, []byte("another\n"), 0o600))
	out, code := createUser(t, secured.URI(), "DDLTAIL_USER=audit", "DDLTAIL_DATABASE=audit", "DDLTAIL_PASSWORD_FILE="+file)
	if code != 0 || strings.Contains(out, "another") {
		t.Errorf("exit %d: %s", code, out)
	}
	change(t, admin, "audit", "after")
	if status, text, err := p.Get(t.Context(), "/readyz"); err != nil || status != 200 {
		t.Errorf("not ready any more: %d %s %v", status, text, err)
	}
	ping := bson.D{{Key: "ping", Value: 1}}
	if err := mongotest.Connect(t, uri).Database("admin").RunCommand(t.Context(), ping).Err(); !refused(err, codeAuthenticationFailed) {
		t.Errorf("the old password: %v", err)
	}
	ok(t, mongotest.Connect(t, secured.URIOf("audit", "another", "")).Database("admin").RunCommand(t.Context(), ping).Err())
	created := bson.D{{Key: "operation", Value: "CREATE_COLLECTION"}, {Key: "database", Value: "shop_of_audit"}}
	if n, err := published.CountDocuments(t.Context(), created); err != nil || n != 2 {
		t.Errorf("%d notifications, %v", n, err)
	}
	hidden(t, "ddltail's log", p.Stderr())
}

// change creates a collection as root, and waits until it is reported in the database.
func change(t *testing.T, admin *mongo.Client, database, collection string) {
	t.Helper()
	shop := admin.Database("shop_of_" + database)
	ok(t, shop.CreateCollection(t.Context(), collection))
	eventually(t, "the notification of "+collection, func() bool {
		n, err := admin.Database(database).Collection("schema_notifications").CountDocuments(t.Context(),
			bson.D{{Key: "ns", Value: shop.Name() + "." + collection}, {Key: "operation", Value: "CREATE_COLLECTION"}})
		return err == nil && n == 1
	})
}

func TestCreatedUserIsRefused(t *testing.T) {
	t.Parallel()
	uri := created(t, "narrow")
	admin := asRoot(t)
	_, err := admin.Database("shop").Collection("customers").InsertOne(t.Context(), bson.D{{Key: "name", Value: "Ada"}})
	ok(t, err)
	user := mongotest.Connect(t, uri)
	filter, set := bson.D{}, bson.D{{Key: "$set", Value: bson.D{{Key: "x", Value: 1}}}}
	for name, try := range map[string]func() error{
		"read a user's collection": func() error {
			return user.Database("shop").Collection("customers").FindOne(t.Context(), filter).Err()
		},
		"write to a user's collection": func() error {
			_, err := user.Database("shop").Collection("customers").InsertOne(t.Context(), filter)
			return err
		},
		"write to another collection of its database": func() error {
			_, err := user.Database("narrow").Collection("other").InsertOne(t.Context(), filter)
			return err
		},
		"read another user's notifications": func() error {
			return user.Database("audit").Collection("schema_notifications").FindOne(t.Context(), filter).Err()
		},
		"rewrite the history": func() error {
			_, err := user.Database("narrow").Collection("schema_history").UpdateMany(t.Context(), filter, set)
			return err
		},
		"delete from the history": func() error {
			_, err := user.Database("narrow").Collection("schema_history").DeleteMany(t.Context(), filter)
			return err
		},
		"drop the history": func() error {
			return user.Database("narrow").RunCommand(t.Context(), bson.D{{Key: "drop", Value: "schema_history"}}).Err()
		},
		"read users": func() error {
			return user.Database("admin").Collection("system.users").FindOne(t.Context(), filter).Err()
		},
		"write to the oplog": func() error {
			_, err := user.Database("local").Collection("oplog.rs").InsertOne(t.Context(), filter)
			return err
		},
	} {
		if err := try(); !refused(err, codeUnauthorized) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestCreateUserMistakes(t *testing.T) {
	t.Parallel()
	nobody := secured.URIOf("", "", "")
	empty := filepath.Join(t.TempDir(), "empty")
	ok(t, os.WriteFile(empty, nil, 0o600))
	all := []string{"DDLTAIL_USER=u", "DDLTAIL_DATABASE=d", "DDLTAIL_PASSWORD=" + password}
	for name, c := range map[string]struct {
		uri       string
		variables []string
		want      []string
	}{
		"nothing set": {secured.URI(), nil, []string{"DDLTAIL_USER is not set", "DDLTAIL_DATABASE is not set", "DDLTAIL_PASSWORD is not set"}},
		"no user":     {secured.URI(), all[1:], []string{"DDLTAIL_USER is not set"}},
		"bad values": {
			secured.URI(), []string{"DDLTAIL_USER=u", "DDLTAIL_DATABASE=local", "DDLTAIL_PASSWORD_FILE=" + empty},
			[]string{"DDLTAIL_DATABASE: local", empty + " is empty"},
		},
		"no such file":       {secured.URI(), append(all[:2:2], "DDLTAIL_PASSWORD_FILE=/nowhere"), []string{"DDLTAIL_PASSWORD_FILE cannot be read"}},
		"another user":       {secured.URI(), append(all[1:3:3], "DDLTAIL_USER=root"), []string{"DDLTAIL_USER: root exists and is not ddltail's"}},
		"without the rights": {nobody, all, []string{"requires authentication"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			out, code := createUser(t, c.uri, c.variables...)
			lines := strings.Split(strings.TrimSpace(out), "\n")
			if code != 1 || len(lines) != len(c.want) {
				t.Fatalf("exit %d: %s", code, out)
			}
			for _, want := range c.want {
				if !slices.ContainsFunc(lines, func(line string) bool {
					return strings.HasPrefix(line, "create-user.js: ") && strings.Contains(line, want)
				}) {
					t.Errorf("no line with %q in\n%s", want, out)
				}
			}
		})
	}
}
