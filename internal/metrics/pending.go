package metrics

import (
	"sync"

	"github.com/prometheus/client_golang/prometheus"
)

// pendingAges collects the age of the oldest pending notification of each receiver. It is computed
// when it is collected: it also grows while the queue cannot be read. A receiver whose backlog
// was not read yet has no series.
type pendingAges struct {
	desc *prometheus.Desc

	mu sync.Mutex
	// oldest holds timestamps in epoch seconds, zero if nothing is pending.
	oldest map[string]float64
}

func newPendingAges(reg prometheus.Registerer) *pendingAges {
	p := &pendingAges{
		desc: prometheus.NewDesc("ddltail_receiver_oldest_pending_seconds",
			"Age of the oldest notification that was not delivered to a receiver yet, by its timestamp; 0 if there is none.",
			[]string{"receiver"}, nil),
		oldest: map[string]float64{},
	}
	reg.MustRegister(p)
	return p
}

func (p *pendingAges) set(receiver string, oldest float64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.oldest[receiver] = oldest
}

func (p *pendingAges) remove(receiver string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.oldest, receiver)
}

// Describe sends the descriptor.
func (p *pendingAges) Describe(out chan<- *prometheus.Desc) { out <- p.desc }

// Collect sends one gauge for each receiver.
func (p *pendingAges) Collect(out chan<- prometheus.Metric) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for receiver, oldest := range p.oldest {
		out <- prometheus.MustNewConstMetric(p.desc, prometheus.GaugeValue, ageOf(oldest), receiver)
	}
}
