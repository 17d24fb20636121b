package receivers

import (
	"strings"
	"time"

	"github.com/ddltail/ddltail/internal/risk"
	"github.com/ddltail/ddltail/internal/terminal"
)

// pagerDutyURL is the endpoint of the Events API v2.
const pagerDutyURL = "https://events.pagerduty.com/v2/enqueue"

// PagerDuty's limits: characters of the summary, bytes of an event.
const (
	pagerDutySummary = 1024
	pagerDutyEvent   = 512 << 10
)

// pagerDuty renders an event of the Events API v2. Several changes are one incident.
type pagerDuty struct{ routingKey string }

type pagerDutyBody struct {
	RoutingKey string            `json:"routing_key"`
	Action     string            `json:"event_action"`
	DedupKey   string            `json:"dedup_key"`
	Client     string            `json:"client,omitempty"`
	Payload    *pagerDutyPayload `json:"payload,omitempty"`
}

type pagerDutyPayload struct {
	Summary   string         `json:"summary"`
	Source    string         `json:"source"`
	Severity  string         `json:"severity"`
	Timestamp string         `json:"timestamp,omitempty"`
	Component string         `json:"component,omitempty"`
	Group     string         `json:"group,omitempty"`
	Class     string         `json:"class,omitempty"`
	Details   map[string]any `json:"custom_details"`
}

func (p pagerDuty) render(all []Notification) (payload, error) {
	changes, err := newChanges(all)
	if err != nil {
		return payload{}, err
	}
	event := pagerDutyBody{RoutingKey: p.routingKey, Action: "trigger", DedupKey: messageID(all), Client: "ddltail"}
	body, err := fit(pagerDutyEvent, func(l limits) ([]byte, error) {
		if len(changes) == 1 {
			event.Payload = pagerDutyChange(changes[0], l)
		} else {
			event.Payload = pagerDutyDigest(changes, l)
		}
		return encode(event)
	})
	return payload{body: body, contentType: jsonType}, err
}

func (p pagerDuty) resolve(all []Notification) (payload, error) {
	body, err := encode(pagerDutyBody{RoutingKey: p.routingKey, Action: "resolve", DedupKey: messageID(all)})
	return payload{body: body, contentType: jsonType}, err
}

func pagerDutyChange(c Change, l limits) *pagerDutyPayload {
	p := &pagerDutyPayload{
		Summary: cut(c.summary(pagerDutySummary), pagerDutySummary), Source: sourceOf(c), Severity: severity(c.Risk),
		Timestamp: instant(c.Time), Component: plain(c.Namespace), Group: plain(c.Database), Class: c.operation(),
		Details: map[string]any{"id": plain(c.ID), "risk": c.Risk},
	}
	for name, text := range map[string]string{
		"statement": cut(c.statement(), l.statement), "undo": cut(terminal.Escape(c.Undo), l.statement), "user": plain(c.User), "app": plain(c.App),
		"before": cutOrMark(c.Before, l.before), "after": cutOrMark(c.After, l.after),
	} {
		if text != "" {
			p.Details[name] = text
		}
	}
	return p
}

func pagerDutyDigest(changes []Change, l limits) *pagerDutyPayload {
	d := newDigest(changes, l)
	lines := make([]string, len(d.lines))
	for i, line := range d.lines {
		lines[i] = strings.Join([]string{line.risk, line.operation, line.subject, line.statement}, " ")
	}
	first, _ := spanOf(changes)
	return &pagerDutyPayload{
		Summary: cut(d.title+": "+d.risks, pagerDutySummary), Source: sourceOf(changes[0]), Severity: severity(mostSevere(changes)),
		Timestamp: instant(first),
		Details:   map[string]any{"time": d.span, "changes": lines, "more": d.groups, "all": d.command},
	}
}

// sourceOf returns the changed system, which PagerDuty requires.
func sourceOf(c Change) string {
	if c.ReplicaSet == "" {
		return "mongodb"
	}
	return plain(c.ReplicaSet)
}

func severity(r risk.Level) string {
	switch r {
	case risk.Destructive:
		return "critical"
	case risk.Breaking:
		return "error"
	case risk.Routine:
		return "info"
	}
	return "warning"
}

func instant(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.RFC3339Nano)
}

// cutOrMark truncates a definition; an omitted one is replaced by a mark.
func cutOrMark(definition JSON, n int) string {
	text := terminal.Escape(string(definition))
	if text != "" && n == 0 {
		return cutMark
	}
	return cut(text, n)
}

// alertmanager renders alerts for /api/v2/alerts. An alert has an end time, since a change is an
// event, not a state.
type alertmanager struct {
	resolveAfter time.Duration
	// now is the clock.
	now func() time.Time
}

// alertsBody is the largest body that is sent, in bytes. Alertmanager has no limit.
const alertsBody = 4 << 20

type alert struct {
	Labels      map[string]string `json:"labels"`
	Annotations map[string]string `json:"annotations"`
	StartsAt    string            `json:"startsAt,omitempty"`
	EndsAt      string            `json:"endsAt"`
}

func (a alertmanager) render(all []Notification) (payload, error) {
	return a.alerts(all, a.now().Add(a.resolveAfter))
}

func (a alertmanager) resolve(all []Notification) (payload, error) { return a.alerts(all, a.now()) }

func (a alertmanager) alerts(all []Notification, end time.Time) (payload, error) {
	changes, err := newChanges(all)
	if err != nil {
		return payload{}, err
	}
	body, err := fit(alertsBody, func(l limits) ([]byte, error) {
		alerts := make([]alert, len(changes))
		for i, c := range changes {
			alerts[i] = newAlert(c, end, l)
		}
		return encode(alerts)
	})
	return payload{body: body, contentType: jsonType}, err
}

// newAlert returns the alert of a change. The label id distinguishes two changes of the same
// collection; grouping and silences use the other labels.
func newAlert(c Change, end time.Time, l limits) alert {
	alert := alert{
		Labels:      map[string]string{"alertname": "SchemaChange"},
		Annotations: map[string]string{"summary": c.summary(pagerDutySummary)},
		EndsAt:      instant(end),
	}
	if start := c.Time; start.Before(end) {
		alert.StartsAt = instant(start)
	}
	for name, text := range map[string]string{
		"id": c.ID, "operation": c.operation(), "risk": string(c.Risk), "namespace": c.Namespace, "database": c.Database,
		"replica_set": c.ReplicaSet, "test": map[bool]string{true: "true"}[c.Test],
	} {
		if text != "" {
			alert.Labels[name] = plain(text)
		}
	}
	for name, text := range map[string]string{
		"statement": cut(c.statement(), l.statement), "undo": cut(terminal.Escape(c.Undo), l.statement), "user": plain(c.User), "app": plain(c.App),
		"before": cutOrMark(c.Before, l.before), "after": cutOrMark(c.After, l.after),
	} {
		if text != "" {
			alert.Annotations[name] = text
		}
	}
	return alert
}
