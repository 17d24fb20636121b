package metrics

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
)

func newCertificates(f promauto.Factory) *prometheus.GaugeVec {
	return f.NewGaugeVec(prometheus.GaugeOpts{
		Name: "ddltail_certificate_expiry_timestamp_seconds",
		Help: "When a certificate that a URI names expires: mongodb_client, sink_client, or the first to expire of mongodb_ca, sink_ca.",
	}, []string{"use"})
}

// Certificates sets the expiry of certificates by their use; zero times are skipped.
func (m *Run) Certificates(expiry map[string]time.Time) {
	m.certificates.Reset()
	for use, at := range expiry {
		if !at.IsZero() {
			m.certificates.WithLabelValues(use).Set(float64(at.Unix()))
		}
	}
}
