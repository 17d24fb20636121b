// Command dashboard prints the Grafana dashboard of ddltail as JSON.
package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"

	"github.com/grafana/grafana-foundation-sdk/go/cog"
	"github.com/grafana/grafana-foundation-sdk/go/common"
	"github.com/grafana/grafana-foundation-sdk/go/dashboard"
	"github.com/grafana/grafana-foundation-sdk/go/prometheus"
	"github.com/grafana/grafana-foundation-sdk/go/stat"
	"github.com/grafana/grafana-foundation-sdk/go/timeseries"
	"github.com/grafana/grafana-foundation-sdk/go/units"
)

func main() {
	if err := write(); err != nil {
		fmt.Fprintln(os.Stderr, "dashboard:", err)
		os.Exit(1)
	}
}

func write() error {
	d, err := build().Build()
	if err != nil {
		return fmt.Errorf("build the dashboard: %w", err)
	}
	text, err := json.MarshalIndent(d, "", "  ")
	if err != nil {
		return fmt.Errorf("encode the dashboard: %w", err)
	}
	// A field that the types do not know is lost when it is read back. (UnmarshalJSONStrict of
	// this release of the SDK loses the panels.)
	runtime := cog.NewRuntime()
	runtime.RegisterPanelcfgVariant(timeseries.VariantConfig())
	runtime.RegisterPanelcfgVariant(stat.VariantConfig())
	runtime.RegisterDataqueryVariant(prometheus.VariantConfig())
	var again dashboard.Dashboard
	if err := json.Unmarshal(text, &again); err != nil {
		return fmt.Errorf("read the dashboard back: %w", err)
	}
	second, err := json.MarshalIndent(again, "", "  ")
	if err != nil {
		return fmt.Errorf("encode the dashboard that was read back: %w", err)
	}
	if !bytes.Equal(text, second) {
		return errors.New("the dashboard that is read back differs")
	}
	_, err = os.Stdout.Write(append(text, '\n'))
	return err
}

// query is one expression and what its series are called.
type query struct{ expr, legend string }

// panel is one graph or figure.
type panel struct {
	title, about, unit string
	queries            []query
}

// filter selects by the variables of the dashboard.
const filter = `{job=~"$job",instance=~"$instance"}`

func build() *dashboard.DashboardBuilder {
	d := dashboard.NewDashboardBuilder("ddltail").
		Uid("ddltail").
		Description("Schema changes of MongoDB replica sets: is every change reported, and delivered?").
		Tags([]string{"ddltail", "mongodb"}).
		Time("now-6h", "now").
		Refresh("30s").
		Tooltip(dashboard.DashboardCursorSyncCrosshair).
		Editable().
		WithVariable(dashboard.NewDatasourceVariableBuilder("datasource").Type("prometheus").Label("Data source")).
		WithVariable(variable("job", "Job", "label_values(ddltail_build_info, job)")).
		WithVariable(variable("instance", "Instance", `label_values(ddltail_build_info{job=~"$job"}, instance)`))
	for _, r := range rows() {
		d = d.WithRow(dashboard.NewRowBuilder(r.title))
		for _, p := range r.figures {
			d = d.WithPanel(figure(p))
		}
		for _, p := range r.graphs {
			d = d.WithPanel(graph(p))
		}
	}
	return d
}

func variable(name, label, values string) *dashboard.QueryVariableBuilder {
	return dashboard.NewQueryVariableBuilder(name).
		Label(label).
		Query(dashboard.StringOrMap{String: cog.ToPtr(values)}).
		Datasource(source()).
		Refresh(dashboard.VariableRefreshOnTimeRangeChanged).
		Multi(true).
		IncludeAll(true).
		AllValue(".*")
}

func source() common.DataSourceRef {
	return common.DataSourceRef{Type: cog.ToPtr("prometheus"), Uid: cog.ToPtr("${datasource}")}
}

func target(q query) *prometheus.DataqueryBuilder {
	return prometheus.NewDataqueryBuilder().Expr(q.expr).LegendFormat(q.legend).Datasource(source())
}

func graph(p panel) *timeseries.PanelBuilder {
	b := timeseries.NewPanelBuilder().Title(p.title).Description(p.about).Unit(p.unit).Datasource(source()).
		Min(0).Height(8).Span(8)
	for i, q := range p.queries {
		b = b.WithTarget(target(q).RefId(string(rune('A' + i))))
	}
	return b
}

func figure(p panel) *stat.PanelBuilder {
	b := stat.NewPanelBuilder().Title(p.title).Description(p.about).Unit(p.unit).Datasource(source()).
		NoValue("not known").Height(4).Span(6)
	for i, q := range p.queries {
		b = b.WithTarget(target(q).Instant().RefId(string(rune('A' + i))))
	}
	return b
}

type row struct {
	title           string
	figures, graphs []panel
}

func rows() []row {
	return []row{
		{title: "Detector", figures: []panel{
			{"Ready", "1 while /readyz answers 200.", units.Short,
				[]query{{"ddltail_ready" + filter, "{{instance}}"}}},
			{"Behind the clock", "Age of the stored checkpoint. A quiet set moves it every 10 to 20 s.", units.Seconds,
				[]query{{"time() - (ddltail_checkpoint_timestamp_seconds" + filter + " > 0)", "{{instance}}"}}},
			{"Headroom", "Time until the checkpoint falls off the oplog if it does not move, at the earliest.", units.Seconds,
				[]query{{"ddltail_oplog_headroom_seconds" + filter, "{{instance}}"}}},
			{"Gaps in 24 h", "Oplog entries truncated before they were read.", units.Short,
				[]query{{"increase(ddltail_history_gaps_total" + filter + "[24h])", "{{instance}}"}}},
		}, graphs: []panel{
			{"Position", "How far the checkpoint is behind the oplog's head, and how much of the oplog lies behind it.", units.Seconds, []query{
				{"ddltail_oplog_head_timestamp_seconds" + filter + " - ddltail_checkpoint_timestamp_seconds" + filter, "behind the head {{instance}}"},
				{"ddltail_oplog_head_timestamp_seconds" + filter + " - ddltail_oplog_oldest_timestamp_seconds" + filter, "oplog window {{instance}}"},
				{"ddltail_oplog_headroom_seconds" + filter, "headroom {{instance}}"},
			}},
			{"Oplog used", "How much of what the oplog reaches back to lies after the checkpoint; at 100 % history is lost. By a recording rule of prometheus-alerts.yml.",
				units.PercentUnit, []query{{"ddltail:oplog_used:ratio" + filter, "{{instance}}"}}},
			{"Changes by operation", "Schema changes detected, before any filter.", units.Short,
				[]query{{"sum by (operation) (increase(ddltail_changes_total" + filter + "[$__rate_interval])) > 0", "{{operation}}"}}},
			{"Changes by risk", "destructive: documents are deleted; breaking: an application may fail or slow down.", units.Short,
				[]query{{"sum by (risk) (increase(ddltail_changes_by_risk_total" + filter + "[$__rate_interval]))", "{{risk}}"}}},
			{"Latency", "From a change's wall clock on the primary to its document acknowledged by every sink.", units.Seconds, []query{
				{"histogram_quantile(0.5, sum by (le) (rate(ddltail_notification_latency_seconds_bucket" + filter + "[$__rate_interval])))", "median"},
				{"histogram_quantile(0.99, sum by (le) (rate(ddltail_notification_latency_seconds_bucket" + filter + "[$__rate_interval])))", "99 %"},
			}},
			{"Sink errors", "Failed attempts to write; each is tried again.", units.OpsPerSecond,
				[]query{{"sum by (sink) (rate(ddltail_sink_errors_total" + filter + "[$__rate_interval]))", "{{sink}}"}}},
			{"Index builds", "Builds in progress whose start was read.", units.Short,
				[]query{{"ddltail_index_builds_in_progress" + filter, "{{instance}}"}}},
			{"Oplog entries", "Entries that the server's filter let through.", units.OpsPerSecond,
				[]query{{"rate(ddltail_oplog_entries_total" + filter + "[$__rate_interval])", "{{instance}}"}}},
			{"Oplog reopened", "How often the cursor had to be opened again, by reason.", units.Short,
				[]query{{"sum by (reason) (increase(ddltail_cursor_reopens_total" + filter + "[$__rate_interval]))", "{{reason}}"}}},
			{"To be looked at", "Commands and entries of a kind that is not known, namespaces that cannot be listed, privileges that are missing.", units.Short, []query{
				{"increase(ddltail_unknown_commands_total" + filter + "[1h])", "unknown commands {{instance}}"},
				{"increase(ddltail_malformed_entries_total" + filter + "[1h])", "malformed entries {{instance}}"},
				{"ddltail_unlisted_namespaces" + filter, "unlisted namespaces {{instance}}"},
				{"ddltail_privileges_missing" + filter, "privileges missing {{instance}}"},
			}},
		}},
		{title: "Listener", figures: []panel{
			{"Unprocessed", "Notifications in the queue that are not processed yet.", units.Short,
				[]query{{"ddltail_notifications_unprocessed" + filter, "{{instance}}"}}},
			{"Oldest unprocessed", "Age of the oldest unprocessed notification.", units.Seconds,
				[]query{{"ddltail_oldest_unprocessed_age_seconds" + filter, "{{instance}}"}}},
			{"Blocked", "Collections that a failing delivery holds back.", units.Short,
				[]query{{"ddltail_partitions_blocked" + filter, "{{instance}}"}}},
			{"Misconfigured", "1 while a receiver's answers indicate a misconfiguration.", units.Short,
				[]query{{"ddltail_delivery_misconfigured" + filter, "{{receiver}} {{instance}}"}}},
		}, graphs: []panel{
			{"Deliveries", "Notifications that are done with, by how.", units.Short,
				[]query{{"sum by (result) (increase(ddltail_deliveries_total" + filter + "[$__rate_interval]))", "{{result}}"}}},
			{"Attempts", "Attempts to deliver, by what came of them.", units.Short,
				[]query{{"sum by (outcome) (increase(ddltail_delivery_attempts_total" + filter + "[$__rate_interval]))", "{{outcome}}"}}},
			{"Delivery latency", "From a notification's timestamp to its delivery.", units.Seconds, []query{
				{"histogram_quantile(0.5, sum by (le) (rate(ddltail_delivery_latency_seconds_bucket" + filter + "[$__rate_interval])))", "median"},
				{"histogram_quantile(0.99, sum by (le) (rate(ddltail_delivery_latency_seconds_bucket" + filter + "[$__rate_interval])))", "99 %"},
			}},
			{"Receivers", "Age of the oldest notification that a receiver has not got.", units.Seconds,
				[]query{{"ddltail_receiver_oldest_pending_seconds" + filter, "{{receiver}} {{instance}}"}}},
			{"Looking for notifications by", "change_stream is immediate, polling is not.", units.Short,
				[]query{{"ddltail_listen_mode" + filter + " == 1", "{{mode}} {{instance}}"}}},
		}},
	}
}
