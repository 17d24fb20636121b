package metrics

import (
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// headroomWindow is the time over which the truncation rate is measured: the server truncates
// in steps of a hundredth of the oplog or more.
const headroomWindow = 10 * time.Minute

// Headroom is the time until the checkpoint falls off the oplog if it does not move, at the
// rate at which the oplog is truncated. It is computed when it is collected: the observations
// may be old, because nothing is read while a sink blocks the pipeline.
type Headroom struct {
	desc *prometheus.Desc

	mu         sync.Mutex
	member     string
	samples    []truncation
	checkpoint uint32
}

// truncation is the oplog time of the oldest entry, observed at a time.
type truncation struct {
	at     time.Time
	oldest uint32
}

func newHeadroom(reg prometheus.Registerer) *Headroom {
	h := &Headroom{desc: prometheus.NewDesc("ddltail_oplog_headroom_seconds",
		"Shortest time until the checkpoint falls off the oplog if it does not move, at the truncation rate of the last 10 min; absent until it is known.", nil, nil)}
	reg.MustRegister(h)
	return h
}

// SetOldest records the oldest entry of the member that is read from. After a change of
// member the measurement starts over, because their oplogs begin at different times.
func (h *Headroom) SetOldest(member string, oldest uint32, at time.Time) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if member != h.member {
		h.member, h.samples = member, nil
	}
	h.samples = append(h.samples, truncation{at, oldest})
	for len(h.samples) > 2 && at.Sub(h.samples[1].at) >= headroomWindow {
		h.samples = h.samples[1:]
	}
}

// SetCheckpoint records the oplog time of the stored checkpoint.
func (h *Headroom) SetCheckpoint(checkpoint uint32) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.checkpoint = checkpoint
}

// Describe implements prometheus.Collector.
func (h *Headroom) Describe(c chan<- *prometheus.Desc) { c <- h.desc }

// Collect implements prometheus.Collector.
func (h *Headroom) Collect(c chan<- prometheus.Metric) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if left, known := headroom(h.samples, h.checkpoint, time.Now()); known {
		c <- prometheus.MustNewConstMetric(h.desc, prometheus.GaugeValue, left.Seconds())
	}
}

// headroom divides the time between the oldest entry and the checkpoint by the rate at which
// the oldest entry advances. The assumed rate is at least one second per second: an oplog
// that is not full yet is not truncated.
func headroom(samples []truncation, checkpoint uint32, now time.Time) (time.Duration, bool) {
	if len(samples) == 0 || checkpoint == 0 {
		return 0, false
	}
	first, last := samples[0], samples[len(samples)-1]
	speed := 1.0
	if over := last.at.Sub(first.at).Seconds(); over > 0 {
		speed = max(speed, (float64(last.oldest)-float64(first.oldest))/over)
	}
	left := (float64(checkpoint)-float64(last.oldest))/speed - now.Sub(last.at).Seconds()
	return time.Duration(max(0, left) * float64(time.Second)), true
}
