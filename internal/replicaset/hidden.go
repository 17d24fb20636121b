package replicaset

import (
	"context"
	"fmt"
	"slices"

	"go.mongodb.org/mongo-driver/v2/bson"
)

// configuration has the used fields of the document in local.system.replset.
type configuration struct {
	Members []configured `bson:"members"`
}

type configured struct {
	Host     string            `bson:"host"`
	Hidden   bool              `bson:"hidden"`
	Horizons map[string]string `bson:"horizons"`
}

// WithHidden adds the hidden members of the set's configuration to a view: they are not in the
// members' replies. Reading the configuration needs a separate privilege.
func (v View) WithHidden(ctx context.Context, s Seeds) (View, error) {
	if v.Direct || len(v.Members) == 0 {
		return v, nil
	}
	config, err := readConfiguration(ctx, s, v.Members[0].Host)
	if err != nil {
		return v, err
	}
	var hosts []string
	for _, host := range config.hidden(v.known) {
		if !v.known(host) {
			hosts = append(hosts, host)
		}
	}
	answers, errs := askAll(ctx, s.Options, hosts)
	more := newView(v.SetName, answers, errs, false)
	v.Members = append(slices.Clone(v.Members), more.Members...)
	unreachable := map[string]error{}
	for _, from := range []map[string]error{v.Unreachable, more.Unreachable} {
		for host, err := range from {
			unreachable[host] = err
		}
	}
	v.Unreachable = unreachable
	return v, nil
}

func (v View) known(host string) bool {
	_, unreachable := v.Unreachable[host]
	return unreachable || slices.ContainsFunc(v.Members, func(m Member) bool { return m.Host == host })
}

// hidden lists the hidden members by their names in the horizon of the known ones.
func (c configuration) hidden(known func(host string) bool) []string {
	var horizon string
	for _, m := range c.Members {
		for name, host := range m.Horizons {
			if known(host) {
				horizon = name
			}
		}
	}
	var hosts []string
	for _, m := range c.Members {
		if !m.Hidden {
			continue
		}
		host, ok := m.Horizons[horizon]
		if !ok {
			host = m.Host
		}
		hosts = append(hosts, host)
	}
	return hosts
}

func readConfiguration(ctx context.Context, s Seeds, host string) (configuration, error) {
	client, err := Connect(ctx, s.Options, host)
	if err != nil {
		return configuration{}, err
	}
	defer disconnect(client)
	var config configuration
	if err := client.Database("local").Collection("system.replset").FindOne(ctx, bson.D{}).Decode(&config); err != nil {
		return configuration{}, fmt.Errorf("read the set's configuration from %s: %w", host, err)
	}
	return config, nil
}
