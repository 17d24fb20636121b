package deploytest

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"go.mongodb.org/mongo-driver/v2/bson"

	"github.com/ddltail/ddltail/test/mongotest"
)

// composed is what docker-compose.yml puts together, without Docker: its scripts with their variables, and three servers.
type composed struct {
	*testing.T
	keyFile, credentials, uri string
	set                       *mongotest.ReplicaSet
}

// environment returns the variables that docker-compose.yml sets, with this test's folders.
func (c composed) environment() []string {
	owner := fmt.Sprintf("%d:%d", os.Getuid(), os.Getgid())
	return []string{
		"REPLICA_SET=rs0", "MEMBERS=" + c.members(), "DDLTAIL_USER=ddltail", "DDLTAIL_DATABASE=ddltail",
		"KEYFILE_DIR=" + c.keyFile, "CREDENTIALS_DIR=" + c.credentials, "URI_DIR=" + c.uri,
		"MONGOD_OWNER=" + owner, "DDLTAIL_OWNER=" + owner, "HOME=" + shellHome(c.T),
		"KEY_FILE=" + filepath.Join(c.keyFile, "keyFile"),
		"ROOT_PASSWORD_FILE=" + filepath.Join(c.credentials, "root-password"),
		"DDLTAIL_PASSWORD_FILE=" + filepath.Join(c.credentials, "ddltail-password"),
	}
}

// members are not known before there is a keyFile to start them with.
func (c composed) members() string {
	if c.set == nil {
		return ""
	}
	return c.set.Hosts()
}

// run runs a command line of docker-compose.yml to its good end. No secret may be printed.
func (c composed) run(stdin string, args ...string) string {
	c.Helper()
	out, code := program{args: args, env: c.environment(), stdin: stdin}.run(c.T)
	if code != 0 {
		c.Fatalf("%q: exit %d: %s", args, code, out)
	}
	for _, secret := range regexp.MustCompile(`[0-9a-f]{48}`).FindAllString(out, -1) {
		c.Errorf("%q prints %s", args, secret)
	}
	return out
}

// secrets runs secrets.sh and gives what is in the files that it makes.
func (c composed) secrets() (all string) {
	c.Helper()
	c.run("", "bash", filepath.Join(deploy, "secrets.sh"))
	for _, file := range []string{c.keyFile + "/keyFile", c.credentials + "/root-password", c.credentials + "/ddltail-password", c.uri + "/mongodb-uri"} {
		info, err := os.Stat(file)
		ok(c.T, err)
		if info.Mode().Perm() != 0o400 {
			c.Errorf("%s has mode %o", file, info.Mode().Perm())
		}
		all += read(c.T, file) + "\n"
	}
	return all
}

func (c composed) initiate() {
	c.Helper()
	c.run("", mongosh(c.T), "--quiet", "--norc", "--nodb", "--file", filepath.Join(deploy, "initiate.js"))
}

// TestCompose goes through the start that docker-compose.yml describes, and through another one after it.
func TestCompose(t *testing.T) {
	t.Parallel()
	c := composed{T: t, keyFile: t.TempDir(), credentials: t.TempDir(), uri: t.TempDir()}
	c.secrets()
	c.set = mongotest.NewReplicaSet(t, mongotest.Options{
		Members: 3, Uninitiated: true, Args: []string{"--keyFile", filepath.Join(c.keyFile, "keyFile")},
	})
	// The members' names in the URI are docker-compose.yml's; here they are known only now.
	ok(t, os.Remove(filepath.Join(c.uri, "mongodb-uri")))
	first := c.secrets()
	c.initiate()
	p := startReady(t, "DDLTAIL_MONGODB_URI_FILE="+filepath.Join(c.uri, "mongodb-uri"), "DDLTAIL_DATABASE=ddltail")
	shell := []string{mongosh(t), "--quiet", "--nodb", "--shell", filepath.Join(deploy, "shell.js")}
	c.run("db.getSiblingDB('shop').createCollection('payments')\n", shell...)
	eventually(t, "the notification", func() bool {
		return strings.Contains(c.run("db.schema_notifications.find().toArray()\n", shell...), "CREATE COLLECTION payments")
	})

	if again := c.secrets(); again != first {
		t.Error("another start makes other secrets")
	}
	c.initiate()
	root := strings.TrimSpace(read(t, filepath.Join(c.credentials, "root-password")))
	admin := mongotest.Connect(t, c.set.URIOf("root", root, "")).Database("admin")
	ok(t, admin.RunCommand(t.Context(), bson.D{{Key: "ping", Value: 1}}).Err())
	if status, text, err := p.Get(t.Context(), "/readyz"); err != nil || status != 200 {
		t.Errorf("not ready any more: %d %s %v", status, text, err)
	}
	for _, secret := range strings.Fields(first) {
		if strings.Contains(p.Stderr(), secret) {
			t.Error("a secret stands in ddltail's log")
		}
	}
}

// TestComposeRunsTheScripts compares the command lines of docker-compose.yml with those of TestCompose, and the variables that the
// scripts read with those that it sets.
func TestComposeRunsTheScripts(t *testing.T) {
	compose := read(t, filepath.Join(deploy, "docker-compose.yml"))
	for _, line := range []string{
		"entrypoint: [bash, /scripts/secrets.sh]",
		"entrypoint: [mongosh, --quiet, --norc, --nodb, --file, /scripts/initiate.js]",
		"entrypoint: [mongosh, --quiet, --nodb, --shell, /scripts/shell.js]",
		"DDLTAIL_MONGODB_URI_FILE: /run/ddltail/mongodb-uri",
		"--keyFile, /keyfile/keyFile",
	} {
		if !strings.Contains(compose, line) {
			t.Errorf("docker-compose.yml has no %q", line)
		}
	}
	for _, script := range []string{"secrets.sh", "initiate.js", "shell.js"} {
		for _, m := range regexp.MustCompile(`(?:env\.|"\$|[^\\]\$)([A-Z]+_[A-Z_]+|MEMBERS|HOME)\b`).FindAllStringSubmatch(read(t, filepath.Join(deploy, script)), -1) {
			if !strings.Contains(compose, m[1]+": ") {
				t.Errorf("%s reads %s, which docker-compose.yml does not set", script, m[1])
			}
		}
	}
}
