package metrics

import (
	"math"
	"slices"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
)

// Listen are the metrics of the listener.
type Listen struct {
	Deliveries *prometheus.CounterVec
	Attempts   *prometheus.CounterVec
	Latency    prometheus.Histogram
	Cleaned    prometheus.Counter
	// ReceiverDeliveries counts notifications with a final state, by receiver and result.
	ReceiverDeliveries *prometheus.CounterVec
	// Blocked is the number of partitions that are blocked by a failing notification.
	Blocked prometheus.Gauge

	infoGauge
	misconfigured *prometheus.GaugeVec
	oldestPending *pendingAges
	// results are those of ReceiverDeliveries, receivers the current ones.
	results, receivers []string
	unprocessed        prometheus.Gauge
	mode               *prometheus.GaugeVec
	modes              []string
	// oldest holds the bits of a float64, epoch seconds, zero if there is none.
	oldest *atomic.Uint64
}

// ListenLabels are the closed sets of the listener's label values.
type ListenLabels struct {
	// Results are the final states of a notification, Verdicts the outcomes of one attempt.
	Results, Verdicts, Modes []string
	// ReceiverResults are the final states of a notification for one receiver.
	ReceiverResults []string
}

// NewListen registers the listener's metrics. ready is the probe of /readyz.
func NewListen(reg prometheus.Registerer, build Build, labels ListenLabels, ready func() error) *Listen {
	f := promauto.With(reg)
	registerBuild(f, build)
	newReady(f, ready)
	m := &Listen{
		infoGauge: newInfo(f),
		Deliveries: f.NewCounterVec(prometheus.CounterOpts{
			Name: "ddltail_deliveries_total",
			Help: "Notifications with a final state, by result: delivered, rejected or expired for a receiver, malformed, a duplicate, or skipped by all receivers.",
		}, []string{"result"}),
		Attempts: f.NewCounterVec(prometheus.CounterOpts{
			Name: "ddltail_delivery_attempts_total",
			Help: "Delivery attempts, by outcome.",
		}, []string{"outcome"}),
		Latency: f.NewHistogram(prometheus.HistogramOpts{
			Name:    "ddltail_delivery_latency_seconds",
			Help:    "From a notification's timestamp to its delivery; without digests, which wait on purpose.",
			Buckets: []float64{.005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 60, 600, 3600},
		}),
		Cleaned: f.NewCounter(prometheus.CounterOpts{
			Name: "ddltail_notifications_cleaned_total",
			Help: "Processed notifications that this process has removed because of their age.",
		}),
		results: labels.ReceiverResults,
		ReceiverDeliveries: f.NewCounterVec(prometheus.CounterOpts{
			Name: "ddltail_receiver_deliveries_total",
			Help: "Notifications with a final state for a receiver, by result: delivered, rejected by it, skipped, or expired.",
		}, []string{"receiver", "result"}),
		misconfigured: f.NewGaugeVec(prometheus.GaugeOpts{
			Name: "ddltail_delivery_misconfigured",
			Help: "1 while the receiver's responses indicate a misconfiguration, from the first such response to the next 2xx; else 0.",
		}, []string{"receiver"}),
		Blocked: gauge(f, "ddltail_partitions_blocked",
			"Collections, and dropped databases, with a notification whose delivery fails or that waits for a failing one."),
		unprocessed: gauge(f, "ddltail_notifications_unprocessed", "Notifications in the queue that are not processed yet; NaN before the first scan."),
		mode: f.NewGaugeVec(prometheus.GaugeOpts{
			Name: "ddltail_listen_mode",
			Help: "1 for the mode in which new notifications are found, else 0.",
		}, []string{"mode"}),
		modes:         labels.Modes,
		oldest:        new(atomic.Uint64),
		oldestPending: newPendingAges(reg),
	}
	f.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "ddltail_oldest_unprocessed_age_seconds",
		Help: "Age of the oldest unprocessed notification, by its timestamp; 0 if there is none, NaN before the first scan.",
	}, m.oldestAge)
	for _, r := range labels.Results {
		m.Deliveries.WithLabelValues(r)
	}
	for _, v := range labels.Verdicts {
		m.Attempts.WithLabelValues(v)
	}
	m.SetMode("")
	m.Queue(math.NaN(), math.NaN())
	return m
}

// SetReceivers creates the series of all receivers, and deletes those of removed receivers.
func (m *Listen) SetReceivers(receivers []string) {
	for _, r := range m.receivers {
		if !slices.Contains(receivers, r) {
			m.misconfigured.DeleteLabelValues(r)
			m.oldestPending.remove(r)
			m.ReceiverDeliveries.DeletePartialMatch(prometheus.Labels{"receiver": r})
		}
	}
	m.receivers = receivers
	for _, r := range receivers {
		m.misconfigured.WithLabelValues(r)
		for _, result := range m.results {
			m.ReceiverDeliveries.WithLabelValues(r, result)
		}
	}
}

// SetMisconfigured records whether a receiver's responses indicate a misconfiguration.
func (m *Listen) SetMisconfigured(receiver string, is bool) {
	value := 0.0
	if is {
		value = 1
	}
	m.misconfigured.WithLabelValues(receiver).Set(value)
}

// Pending sets the timestamp of the oldest pending notification of a receiver, in
// epoch seconds, zero if there is none.
func (m *Listen) Pending(receiver string, oldest float64) { m.oldestPending.set(receiver, oldest) }

// SetMode sets the series of one mode to 1, those of the others to 0; all are 0 until it is known.
func (m *Listen) SetMode(mode string) {
	for _, other := range m.modes {
		value := 0.0
		if other == mode {
			value = 1
		}
		m.mode.WithLabelValues(other).Set(value)
	}
}

// Queue sets the number of unprocessed notifications, and the timestamp of the oldest in
// epoch seconds, zero if none has one. Both are NaN while they are not known.
func (m *Listen) Queue(unprocessed, oldest float64) {
	m.unprocessed.Set(unprocessed)
	m.oldest.Store(math.Float64bits(oldest))
}

func (m *Listen) oldestAge() float64 { return ageOf(math.Float64frombits(m.oldest.Load())) }

// ageOf returns the age in seconds of a timestamp in epoch seconds, zero for the zero timestamp.
func ageOf(timestamp float64) float64 {
	if timestamp == 0 {
		return 0
	}
	return max(0, float64(time.Now().UnixMilli())/1000-timestamp)
}
