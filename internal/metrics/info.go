package metrics

import (
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
)

// Info identifies the ddltail that serves the metrics. Unknown values are empty.
type Info struct {
	// Component is the command, run or listen.
	Component  string
	ReplicaSet string
	Source     string
	Name       string
	Database   string
}

// infoGauge is always 1; its labels carry the information.
type infoGauge struct{ *prometheus.GaugeVec }

func newInfo(f promauto.Factory) infoGauge {
	return infoGauge{f.NewGaugeVec(prometheus.GaugeOpts{
		Name: "ddltail_info",
		Help: "Replica set, source, name and database of this ddltail, and the command that runs; always 1.",
	}, []string{"component", "replica_set", "source", "name", "database"})}
}

// SetInfo replaces the information.
func (g infoGauge) SetInfo(i Info) {
	g.Reset()
	g.WithLabelValues(i.Component, i.ReplicaSet, i.Source, i.Name, i.Database).Set(1)
}

// newReady registers a gauge of the status of /readyz.
func newReady(f promauto.Factory, ready func() error) {
	f.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "ddltail_ready",
		Help: "1 while /readyz answers 200, else 0.",
	}, func() float64 {
		if ready() != nil {
			return 0
		}
		return 1
	})
}
