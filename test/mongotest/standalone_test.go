package mongotest_test

import (
	"bufio"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.uber.org/goleak"

	"github.com/ddltail/ddltail/test/mongotest"
)

// childVariable is the environment variable that makes this test binary start a set and wait to be killed.
const childVariable = "MONGOTEST_TEST_CHILD"

var shared *mongotest.ReplicaSet

func TestMain(m *testing.M) {
	if os.Getenv(childVariable) != "" {
		os.Exit(mongotest.Main{Tests: untilKilled{}, Set: &shared, Options: mongotest.Options{Members: 2}}.Run())
	}
	goleak.VerifyTestMain(mongotest.Main{Tests: m, Set: &shared})
}

// untilKilled prints the addresses and data folders of the shared set, one of whose members it has paused.
type untilKilled struct{}

func (untilKilled) Run() int {
	members := shared.Members()
	if err := members[1].Pause(); err != nil {
		panic(err)
	}
	fmt.Println(members[0].Addr(), members[1].Addr(), members[0].DBPath(), members[1].DBPath())
	select {}
}

func TestKilledProgramLeavesNothing(t *testing.T) {
	t.Parallel()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), childVariable+"=1")
	stdout := must(cmd.StdoutPipe())(t)
	ok(t, cmd.Start())
	words := strings.Fields(must(bufio.NewReader(stdout).ReadString('\n'))(t))
	for _, addr := range words[:2] {
		ok(t, dial(addr))
	}
	ok(t, cmd.Process.Kill())
	_ = cmd.Wait() // it was killed
	for deadline := time.Now().Add(10 * time.Second); anythingLeft(words); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("10 s later a server or its data is still there")
		}
	}
}

func anythingLeft(words []string) bool {
	_, err0 := os.Stat(words[2])
	_, err1 := os.Stat(words[3])
	return dial(words[0]) == nil || dial(words[1]) == nil || err0 == nil || err1 == nil
}

func dial(addr string) error {
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		return err
	}
	return conn.Close()
}

func TestShared(t *testing.T) {
	insert(t, mongotest.Connect(t, shared.URI()), "shared")
}

func TestStandalone(t *testing.T) {
	t.Parallel()
	server := mongotest.NewStandalone(t, mongotest.Options{Auth: true})
	client := mongotest.Connect(t, server.URI())
	var hello bson.M
	ok(t, client.Database("admin").RunCommand(t.Context(), bson.D{{Key: "hello", Value: 1}}).Decode(&hello))
	if hello["setName"] != nil {
		t.Errorf("a standalone server says %v", hello)
	}
	insert(t, client, "by root")
}

func TestVersionTooOldForTheDriver(t *testing.T) {
	t.Parallel()
	server := mongotest.NewStandalone(t, mongotest.Options{Version: "4.2.6"})
	ok(t, dial(server.Addr()))
	if log := string(must(os.ReadFile(server.Log()))(t)); !strings.Contains(log, "db version v4.2.6") {
		t.Errorf("its log:\n%s", log)
	}
}

func TestServerThatDoesNotStart(t *testing.T) {
	t.Parallel()
	_, err := mongotest.StartStandalone(t.Context(), mongotest.Options{Args: []string{"--noSuchOption"}})
	if err == nil || !strings.Contains(err.Error(), "noSuchOption") {
		t.Errorf("err = %v", err)
	}
}

func TestUnknownVersion(t *testing.T) {
	t.Parallel()
	_, err := mongotest.StartStandalone(t.Context(), mongotest.Options{Version: "1.0"})
	if err == nil || !strings.Contains(err.Error(), mongotest.ErrNoServer.Error()) {
		t.Errorf("err = %v", err)
	}
}

func TestManyAtOnce(t *testing.T) {
	t.Parallel()
	for range 6 {
		t.Run("", func(t *testing.T) {
			t.Parallel()
			mongotest.NewReplicaSet(t, mongotest.Options{})
		})
	}
}

// TestTalkativeStart starts a server that logs more before it accepts connections than is
// read at once.
func TestTalkativeStart(t *testing.T) {
	t.Parallel()
	server := mongotest.NewStandalone(t, mongotest.Options{})
	client := mongotest.Connect(t, server.URI())
	for i := range 300 {
		if err := client.Database("many").CreateCollection(t.Context(), fmt.Sprint(i)); err != nil {
			t.Fatal(err)
		}
	}
	began, err := os.Stat(server.Log())
	if err != nil {
		t.Fatal(err)
	}
	if err := server.Restart(t.Context(), "-vvvvv"); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(server.Log())
	if err != nil {
		t.Fatal(err)
	}
	if before := strings.LastIndex(string(text), "aiting for connections") - int(began.Size()); before < 1<<20 {
		t.Errorf("it logged only %d bytes before that", before)
	}
}
