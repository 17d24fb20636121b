package brokertest

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/ddltail/ddltail/test/mongotest"
)

// The user that the listener with SASL accepts.
const (
	User     = "ddltail"
	Password = "secret"
)

// Kafka is a broker that is its own controller. It listens without authentication, with SASL,
// with TLS that demands a client certificate, and with SASL over TLS.
type Kafka struct {
	*Server
	Certificates

	jars string
}

// NewKafka starts a broker; properties are further lines of its configuration.
func NewKafka(tb mongotest.TB, properties ...string) Kafka {
	tb.Helper()
	jars := script(tb, "kafka.sh")
	server, err := newServer(5)
	if err != nil {
		tb.Fatalf("%v", err)
	}
	certificates, err := newCertificates(server.Dir())
	if err != nil {
		tb.Fatalf("%v", err)
	}
	k := Kafka{Server: server, Certificates: certificates, jars: jars}
	if err := k.format(tb.Context(), properties); err != nil {
		tb.Fatalf("format the storage of Kafka: %v", err)
	}
	server.command = func() *exec.Cmd { return k.java("kafka.Kafka", k.config()) }
	server.ready = k.answers
	start(tb, server)
	return k
}

// SASLAddr returns host and port of the listener with SASL.
func (k Kafka) SASLAddr() string { return k.addr(2) }

// TLSAddr returns host and port of the listener with TLS.
func (k Kafka) TLSAddr() string { return k.addr(3) }

// SASLTLSAddr returns host and port of the listener with SASL over TLS, which accepts only
// SCRAM-SHA-512.
func (k Kafka) SASLTLSAddr() string { return k.addr(4) }

func (k Kafka) config() string { return filepath.Join(k.Dir(), "server.properties") }

// java returns the command line of a class. Tiered compilation limited to level 1 and the
// serial collector start fastest.
func (k Kafka) java(arguments ...string) *exec.Cmd {
	return exec.Command("java", append([]string{"-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1",
		"-Dorg.slf4j.simpleLogger.defaultLogLevel=warn", "-cp", filepath.Join(k.jars, "*")}, arguments...)...)
}

func (k Kafka) format(ctx context.Context, properties []string) error {
	listeners := "PLAINTEXT://" + k.Addr() + ",CONTROLLER://" + k.addr(1) + ",SASL://" + k.SASLAddr() + ",TLS://" + k.TLSAddr() +
		",SASLTLS://" + k.SASLTLSAddr()
	lines := append([]string{
		"process.roles=broker,controller",
		"node.id=1",
		"controller.quorum.bootstrap.servers=" + k.addr(1),
		"controller.listener.names=CONTROLLER",
		"listeners=" + listeners,
		"advertised.listeners=" + listeners,
		"listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,SASL:SASL_PLAINTEXT,TLS:SSL,SASLTLS:SASL_SSL",
		"inter.broker.listener.name=PLAINTEXT",
		"sasl.enabled.mechanisms=PLAIN,SCRAM-SHA-256,SCRAM-SHA-512",
		"listener.name.sasl.plain.sasl.jaas.config=org.apache.kafka.common.security.plain.PlainLoginModule required user_" + User + "=\"" + Password + "\";",
		"listener.name.sasl.scram-sha-256.sasl.jaas.config=org.apache.kafka.common.security.scram.ScramLoginModule required;",
		"listener.name.sasl.scram-sha-512.sasl.jaas.config=org.apache.kafka.common.security.scram.ScramLoginModule required;",
		"listener.name.tls.ssl.client.auth=required",
		"listener.name.tls.ssl.keystore.type=PEM",
		"listener.name.tls.ssl.keystore.location=" + k.server,
		"listener.name.sasltls.sasl.enabled.mechanisms=SCRAM-SHA-512",
		"listener.name.sasltls.scram-sha-512.sasl.jaas.config=org.apache.kafka.common.security.scram.ScramLoginModule required;",
		"listener.name.sasltls.ssl.keystore.type=PEM",
		"listener.name.sasltls.ssl.keystore.location=" + k.server,
		"listener.name.tls.ssl.truststore.type=PEM",
		"listener.name.tls.ssl.truststore.location=" + k.CA,
		"log.dirs=" + filepath.Join(k.Dir(), "data"),
		"auto.create.topics.enable=false",
		"offsets.topic.num.partitions=1",
		"offsets.topic.replication.factor=1",
		"transaction.state.log.num.partitions=1",
		"transaction.state.log.replication.factor=1",
		"share.coordinator.state.topic.num.partitions=1",
		"share.coordinator.state.topic.replication.factor=1",
		"group.initial.rebalance.delay.ms=0",
	}, properties...)
	if err := os.WriteFile(k.config(), []byte(strings.Join(lines, "\n")+"\n"), 0o600); err != nil {
		return err
	}
	cmd := k.java("kafka.tools.StorageTool", "format", "--standalone", "--cluster-id", "ZGRsdGFpbC10ZXN0cy0xMg", "--config", k.config(),
		"--add-scram", scram("SCRAM-SHA-256"), "--add-scram", scram("SCRAM-SHA-512"))
	out, err := cmd.CombinedOutput()
	if err != nil {
		return fmt.Errorf("%w\n%s", err, out)
	}
	return ctx.Err()
}

// scram returns the credentials of the user for a mechanism.
func scram(mechanism string) string {
	return fmt.Sprintf("%s=[name=%s,password=%s]", mechanism, User, Password)
}

// answers returns nil if the broker has registered with its controller.
func (k Kafka) answers(ctx context.Context) error {
	client, err := k.client()
	if err != nil {
		return err
	}
	defer client.Close()
	response, err := kmsg.NewPtrMetadataRequest().RequestWith(ctx, client)
	if err == nil && len(response.Brokers) == 0 {
		err = errors.New("no broker is registered")
	}
	return err
}

func (k Kafka) client(options ...kgo.Opt) (*kgo.Client, error) {
	return kgo.NewClient(append([]kgo.Opt{kgo.SeedBrokers(k.Addr()), kgo.DisableClientMetrics()}, options...)...)
}

// CreateTopic creates a topic and waits until the broker describes it, which can be after
// its reply; configs are "key=value".
func (k Kafka) CreateTopic(ctx context.Context, topic string, partitions int, configs ...string) error {
	client, err := k.client()
	if err != nil {
		return err
	}
	defer client.Close()
	wanted := kmsg.NewCreateTopicsRequestTopic()
	wanted.Topic, wanted.NumPartitions, wanted.ReplicationFactor = topic, int32(partitions), 1
	for _, c := range configs {
		key, value, _ := strings.Cut(c, "=")
		wanted.Configs = append(wanted.Configs, kmsg.CreateTopicsRequestTopicConfig{Name: key, Value: &value})
	}
	request := kmsg.NewPtrCreateTopicsRequest()
	request.TimeoutMillis = 30_000
	request.Topics = append(request.Topics, wanted)
	response, err := request.RequestWith(ctx, client)
	if err != nil {
		return err
	}
	if err := kerr.ErrorForCode(response.Topics[0].ErrorCode); err != nil {
		return err
	}
	return awaitTopic(ctx, client, topic)
}

func awaitTopic(ctx context.Context, client *kgo.Client, topic string) error {
	request := kmsg.NewPtrMetadataRequest()
	wanted := kmsg.NewMetadataRequestTopic()
	wanted.Topic = kmsg.StringPtr(topic)
	request.Topics = append(request.Topics, wanted)
	for {
		response, err := request.RequestWith(ctx, client)
		if err != nil {
			return err
		}
		err = kerr.ErrorForCode(response.Topics[0].ErrorCode)
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("topic %s: %w", topic, err)
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// Record is a record of a topic.
type Record struct {
	Key, Value string
	Headers    map[string]string
	Partition  int
}

// Consume reads a topic from its beginning until enough returns true for the records read so
// far, or the context ends.
func (k Kafka) Consume(ctx context.Context, topic string, enough func([]Record) bool) ([]Record, error) {
	client, err := k.client(kgo.ConsumeTopics(topic), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	if err != nil {
		return nil, err
	}
	defer client.Close()
	var records []Record
	for !enough(records) {
		fetches := client.PollFetches(ctx)
		if err := ctx.Err(); err != nil {
			return records, fmt.Errorf("%d records read: %w", len(records), err)
		}
		fetches.EachRecord(func(r *kgo.Record) {
			record := Record{Key: string(r.Key), Value: string(r.Value), Headers: map[string]string{}, Partition: int(r.Partition)}
			for _, h := range r.Headers {
				record.Headers[h.Key] = string(h.Value)
			}
			records = append(records, record)
		})
	}
	return records, nil
}

// javaConsumer is the source of the consumer with the Java client.
//
//go:embed Consumer.java
var javaConsumer []byte

// ConsumeByJava reads a topic with the Java client until it has the record with an id. It
// returns the ids of all records without duplicates.
func (k Kafka) ConsumeByJava(ctx context.Context, topic, last string) ([]string, error) {
	source := filepath.Join(k.Dir(), "Consumer.java")
	if err := os.WriteFile(source, javaConsumer, 0o600); err != nil {
		return nil, err
	}
	cmd := k.java(source, k.Addr(), topic, last)
	cmd = exec.CommandContext(ctx, cmd.Path, cmd.Args[1:]...)
	out, err := cmd.Output()
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return nil, fmt.Errorf("consume by Java: %w\n%s", err, exit.Stderr)
	}
	if err != nil {
		return nil, fmt.Errorf("consume by Java: %w", err)
	}
	return strings.Fields(string(out)), nil
}
