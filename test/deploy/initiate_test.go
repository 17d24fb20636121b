package deploytest

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"

	"github.com/ddltail/ddltail/test/ddltailtest"
	"github.com/ddltail/ddltail/test/mongotest"
)

// composed runs docker-compose.yml without Docker: its scripts with their variables, and three servers with the command line of
// its mongods. Each volume is a folder.
type composed struct {
	*testing.T
	volumes string
	set     *mongotest.ReplicaSet
}

func newComposed(t *testing.T) composed {
	t.Helper()
	c := composed{T: t, volumes: t.TempDir()}
	for _, volume := range []string{"authority", "keyfile", "credentials", "uri", "listen-uri", "grafana"} {
		ok(t, os.Mkdir(c.volume(volume), 0o700))
	}
	return c
}

// volume returns the path of a volume's folder, or of a file in it.
func (c composed) volume(name string, file ...string) string {
	return filepath.Join(append([]string{c.volumes, name}, file...)...)
}

// environment returns the variables that docker-compose.yml sets, with this test's folders.
func (c composed) environment() []string {
	owner := fmt.Sprintf("%d:%d", os.Getuid(), os.Getgid())
	return []string{
		"REPLICA_SET=rs0", "MEMBERS=" + c.members(), "DDLTAIL_USER=ddltail", "LISTEN_USER=ddltail-listen", "DDLTAIL_DATABASE=ddltail",
		"AUTHORITY_DIR=" + c.volume("authority"), "KEYFILE_DIR=" + c.volume("keyfile"), "CREDENTIALS_DIR=" + c.volume("credentials"),
		"URI_DIR=" + c.volume("uri"), "LISTEN_URI_DIR=" + c.volume("listen-uri"), "GRAFANA_DIR=" + c.volume("grafana"),
		"MONGOD_OWNER=" + owner, "DDLTAIL_OWNER=" + owner, "GRAFANA_OWNER=" + owner, "HOME=" + shellHome(c.T),
		"CA_FILE=" + c.volume("keyfile", "ca.pem"), "KEY_FILE=" + c.volume("keyfile", "keyFile"),
		"ROOT_PASSWORD_FILE=" + c.volume("credentials", "root-password"),
		"DDLTAIL_PASSWORD_FILE=" + c.volume("credentials", "ddltail-password"),
		"LISTEN_PASSWORD_FILE=" + c.volume("credentials", "listen-password"),
	}
}

// mongodArgs returns the arguments of docker-compose.yml's mongods with this test's folders, without those that mongotest
// adds.
func (c composed) mongodArgs() []string {
	c.Helper()
	_, args, _ := strings.Cut(strings.Join(compose(c.T).Services["mongo1"].Command, " "), " --bind_ip_all --wiredTigerCacheSizeGB 0.5 ")
	if args == "" {
		c.Fatal("docker-compose.yml starts mongod with other arguments")
	}
	return append([]string{"--keyFile", c.volume("keyfile", "keyFile")}, strings.Fields(strings.ReplaceAll(args, "/keyfile/", c.volume("keyfile")+"/"))...)
}

// members returns the addresses; the members start only after the keyFile was created.
func (c composed) members() string {
	if c.set == nil {
		return ""
	}
	return c.set.Hosts()
}

// run runs a command line of docker-compose.yml, which must succeed and print no secret.
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

// secrets runs secrets.sh and returns the contents of the files that it creates.
func (c composed) secrets() (all string) {
	c.Helper()
	c.run("", "bash", filepath.Join(deploy, "secrets.sh"))
	for _, file := range []string{
		"authority/ca.key", "keyfile/keyFile", "keyfile/members.pem", "credentials/root-password", "credentials/ddltail-password",
		"credentials/listen-password", "uri/mongodb-uri", "listen-uri/mongodb-uri", "grafana/admin-password",
	} {
		info, err := os.Stat(c.volume(file))
		ok(c.T, err)
		if info.Mode().Perm() != 0o400 {
			c.Errorf("%s has mode %o", file, info.Mode().Perm())
		}
		all += read(c.T, c.volume(file)) + "\n"
	}
	return all
}

func (c composed) initiate() {
	c.Helper()
	c.run("", mongosh(c.T), "--quiet", "--norc", "--nodb", "--file", filepath.Join(deploy, "initiate.js"))
}

// TestCompose starts the services as docker-compose.yml does, twice.
func TestCompose(t *testing.T) {
	t.Parallel()
	c := newComposed(t)
	c.secrets()
	c.set = mongotest.NewReplicaSet(t, mongotest.Options{Members: 3, Uninitiated: true, Args: c.mongodArgs()})
	// The members' names in the URIs are docker-compose.yml's; here they are known only now.
	ok(t, os.Remove(c.volume("uri", "mongodb-uri")))
	ok(t, os.Remove(c.volume("listen-uri", "mongodb-uri")))
	first := c.secrets()
	c.initiate()
	run := startReady(t, "DDLTAIL_MONGODB_URI_FILE="+c.volume("uri", "mongodb-uri"), "DDLTAIL_DATABASE=ddltail")
	listen := startCommand(t, compose(t).Services["listen"].Command, "DDLTAIL_MONGODB_URI_FILE="+c.volume("listen-uri", "mongodb-uri"),
		"DDLTAIL_DATABASE=ddltail")
	shell := []string{mongosh(t), "--quiet", "--nodb", "--shell", filepath.Join(deploy, "shell.js")}
	c.run("db.getSiblingDB('shop').createCollection('payments')\n", shell...)
	eventually(t, "the notification in listen's output", func() bool { return strings.Contains(listen.Stdout(), "CREATE COLLECTION payments") })
	if out := c.run("db.schema_notifications.find().toArray()\n", shell...); !strings.Contains(out, "CREATE COLLECTION payments") {
		t.Errorf("the shell finds %s", out)
	}
	c.onlyTLS()

	if again := c.secrets(); again != first {
		t.Error("a second start creates other secrets")
	}
	c.initiate()
	root := strings.TrimSpace(read(t, c.volume("credentials", "root-password")))
	admin := mongotest.Connect(t, c.set.URIOf("root", root, "")+c.tls()).Database("admin")
	ok(t, admin.RunCommand(t.Context(), bson.D{{Key: "ping", Value: 1}}).Err())
	for _, p := range []*ddltailtest.Process{run, listen} {
		if status, text, err := p.Get(t.Context(), "/readyz"); err != nil || status != 200 {
			t.Errorf("not ready any more: %d %s %v", status, text, err)
		}
		for _, secret := range strings.Fields(first) {
			if len(secret) > 9 && strings.Contains(p.Stderr(), secret) { // not "-----BEGIN"
				t.Error("a secret is in ddltail's log")
			}
		}
	}
}

func (c composed) tls() string { return "&tls=true&tlsCAFile=" + c.volume("keyfile", "ca.pem") }

// onlyTLS checks that members refuse clients without TLS, that clients refuse members of another authority, and that members use TLS
// among themselves.
func (c composed) onlyTLS() {
	c.Helper()
	ctx, cancel := context.WithTimeout(c.Context(), 10*time.Second)
	defer cancel()
	ping := bson.D{{Key: "ping", Value: 1}}
	short := "&serverSelectionTimeoutMS=1000"
	for name, uri := range map[string]string{"no TLS": c.set.URI() + short, "an unknown authority": c.set.URI() + "&tls=true" + short} {
		if mongotest.Connect(c.T, uri).Database("admin").RunCommand(ctx, ping).Err() == nil {
			c.Errorf("%s: a member answers", name)
		}
	}
	root := strings.TrimSpace(read(c.T, c.volume("credentials", "root-password")))
	var status struct {
		Members []struct {
			Health float64
		}
	}
	admin := mongotest.Connect(c.T, c.set.URIOf("root", root, "")+c.tls()).Database("admin")
	ok(c.T, admin.RunCommand(ctx, bson.D{{Key: "replSetGetStatus", Value: 1}}).Decode(&status))
	for _, m := range status.Members {
		if m.Health != 1 || len(status.Members) != 3 {
			c.Errorf("members %+v", status.Members)
		}
	}
}

// TestComposeUpgrade checks that the volumes of a release without TLS get certificates and URIs with TLS, and keep
// the keyFile.
func TestComposeUpgrade(t *testing.T) {
	t.Parallel()
	c := newComposed(t)
	ok(t, os.WriteFile(c.volume("keyfile", "keyFile"), []byte("kept"), 0o400))
	ok(t, os.WriteFile(c.volume("credentials", "ddltail-password"), []byte("replaced"), 0o400))
	ok(t, os.WriteFile(c.volume("uri", "mongodb-uri"), []byte("mongodb://ddltail:replaced@mongo1/"), 0o400))
	if made := c.secrets(); strings.Contains(made, "replaced") || !strings.Contains(made, "kept") || strings.Count(made, "tls=true") != 2 {
		t.Errorf("secrets.sh keeps a URI without TLS, or replaces the keyFile:\n%s", made)
	}
	// Without the authority's files, everything that it signed is created again.
	before := read(t, c.volume("keyfile", "members.pem"))
	ok(t, os.Remove(c.volume("authority", "ca.pem")))
	c.secrets()
	authority := read(t, c.volume("authority", "ca.pem"))
	if read(t, c.volume("keyfile", "members.pem")) == before || read(t, c.volume("uri", "ca.pem")) != authority ||
		read(t, c.volume("listen-uri", "ca.pem")) != authority || read(t, c.volume("keyfile", "ca.pem")) != authority {
		t.Error("certificates of two authorities")
	}
}

// TestComposeRunsTheScripts compares the command lines of docker-compose.yml with those of TestCompose, and the variables that the
// scripts read with those that it sets.
func TestComposeRunsTheScripts(t *testing.T) {
	text := read(t, filepath.Join(deploy, "docker-compose.yml"))
	for _, line := range []string{
		"entrypoint: [bash, /scripts/secrets.sh]",
		"entrypoint: [mongosh, --quiet, --norc, --nodb, --file, /scripts/initiate.js]",
		"entrypoint: [mongosh, --quiet, --nodb, --shell, /scripts/shell.js]",
		"DDLTAIL_MONGODB_URI_FILE: /run/ddltail/mongodb-uri",
		"--keyFile, /keyfile/keyFile",
	} {
		if !strings.Contains(text, line) {
			t.Errorf("docker-compose.yml has no %q", line)
		}
	}
	for _, script := range []string{"secrets.sh", "initiate.js", "shell.js"} {
		for _, m := range regexp.MustCompile(`(?:env\.|"\$|[^\\]\$)([A-Z]+_[A-Z_]+|MEMBERS|HOME)\b`).FindAllStringSubmatch(read(t, filepath.Join(deploy, script)), -1) {
			if !strings.Contains(text, m[1]+": ") {
				t.Errorf("%s reads %s, which docker-compose.yml does not set", script, m[1])
			}
		}
	}
}
