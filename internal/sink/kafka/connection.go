package kafka

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/ddltail/ddltail/internal/sink"
)

// connection keeps the error of the last attempt to connect to a broker: the client retries
// until its timeout and then returns only the timeout.
type connection struct {
	mu  sync.Mutex
	err error
}

// OnBrokerConnect implements kgo.HookBrokerConnect.
func (c *connection) OnBrokerConnect(_ kgo.BrokerMetadata, _ time.Duration, _ net.Conn, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.err = err
}

func (c *connection) error() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.err
}

// ensureTopic checks that a topic exists. The error is a *sink.ConfigurationError if a retry
// cannot succeed.
func ensureTopic(ctx context.Context, client *kgo.Client, topic string, create bool) error {
	err := findTopic(ctx, client, topic)
	if errors.Is(err, kerr.UnknownTopicOrPartition) && create {
		if err = createTopic(ctx, client, topic); err == nil || errors.Is(err, kerr.TopicAlreadyExists) {
			return nil
		}
		return fmt.Errorf("create the topic %s: %w", topic, userError(err, topic))
	}
	if err != nil {
		return fmt.Errorf("look up the topic %s: %w", topic, userError(err, topic))
	}
	return nil
}

func findTopic(ctx context.Context, client *kgo.Client, topic string) error {
	request := kmsg.NewPtrMetadataRequest()
	wanted := kmsg.NewMetadataRequestTopic()
	wanted.Topic = kmsg.StringPtr(topic)
	request.Topics = append(request.Topics, wanted)
	request.AllowAutoTopicCreation = false
	response, err := request.RequestWith(ctx, client)
	if err != nil {
		return err
	}
	if len(response.Topics) != 1 {
		return fmt.Errorf("the broker described %d topics", len(response.Topics))
	}
	return kerr.ErrorForCode(response.Topics[0].ErrorCode)
}

// createTopic creates a topic with the cluster's number of partitions and replicas.
func createTopic(ctx context.Context, client *kgo.Client, topic string) error {
	request := kmsg.NewPtrCreateTopicsRequest()
	wanted := kmsg.NewCreateTopicsRequestTopic()
	wanted.Topic, wanted.NumPartitions, wanted.ReplicationFactor = topic, -1, -1
	request.Topics = append(request.Topics, wanted)
	request.TimeoutMillis = int32(attemptTimeout.Milliseconds() / 2)
	response, err := request.RequestWith(ctx, client)
	if err != nil {
		return err
	}
	if len(response.Topics) != 1 {
		return fmt.Errorf("the broker returned results for %d topics", len(response.Topics))
	}
	return kerr.ErrorForCode(response.Topics[0].ErrorCode)
}

// userError adds a remedy to a permanent error.
func userError(err error, topic string) error {
	problem := func(problem, remedy string) error { return &sink.ConfigurationError{Problem: problem, Remedy: remedy} }
	switch {
	case errors.Is(err, kerr.UnknownTopicOrPartition):
		return problem("the topic "+topic+" does not exist", "create it, or set create=true")
	case errors.Is(err, kerr.TopicAuthorizationFailed), errors.Is(err, kerr.ClusterAuthorizationFailed):
		return problem("the user may not use the topic "+topic, "allow it to describe and write the topic, and to create it if create=true is set")
	case errors.Is(err, kerr.SaslAuthenticationFailed):
		return problem("Kafka authentication failed", "check DDLTAIL_KAFKA_USER, DDLTAIL_KAFKA_PASSWORD and DDLTAIL_KAFKA_SASL")
	case errors.Is(err, kerr.UnsupportedSaslMechanism):
		return problem("the broker does not support this SASL mechanism", "set DDLTAIL_KAFKA_SASL to a mechanism that the broker supports")
	}
	return err
}
