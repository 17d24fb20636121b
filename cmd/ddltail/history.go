package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"go.mongodb.org/mongo-driver/v2/mongo"

	"github.com/ddltail/ddltail/internal/config"
	"github.com/ddltail/ddltail/internal/history"
	"github.com/ddltail/ddltail/internal/migration"
	"github.com/ddltail/ddltail/internal/notification"
	"github.com/ddltail/ddltail/internal/privileges"
)

// defaultLimit is how many changes a table shows without --since or --limit.
const defaultLimit = 50

// historyFlags holds the flags of the command line, as text.
type historyFlags struct {
	source                       string
	namespaces, operations, risk []string
	users, apps                  []string
	since, until, asOf           string
	format                       string
	limit                        int
	follow, wide                 bool
}

func historyCommand() *cobra.Command {
	var f historyFlags
	cmd := &cobra.Command{
		Use:   "history [flags]",
		Short: "List schema changes, or show the schema as of a time",
		Long: "List schema changes, oldest first, or show the schema as of a time.\n\n" +
			"TIME is RFC 3339, a local time as the tables show it, or an age: 90s, 2h, 1d, 2w.",
		Example: "  ddltail history --ns 'banking_db.*' --since 2h\n" +
			"  ddltail history --operation DROP_COLLECTION --format json\n" +
			"  ddltail history --as-of 2026-11-24T08:00:00Z --format mongosh > schema.js\n" +
			"  ddltail history show 1795479993:1\n" +
			"  ddltail history diff 1d now",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			ask, err := f.parse(time.Now(), cmd.Flags().Changed)
			if err != nil {
				return err
			}
			return withHistory(cmd, f.source, ask.run)
		},
	}
	cmd.Flags().StringArrayVar(&f.namespaces, "ns", nil, "glob on db.collection, * matches any characters, including dots; a leading ! excludes; may be repeated")
	cmd.Flags().StringSliceVar(&f.operations, "operation", nil, "operations, such as DROP_INDEX or 'DROP_*'; a leading ! excludes")
	cmd.Flags().StringSliceVar(&f.risk, "risk", nil, "destructive, breaking, routine, unknown; a leading ! excludes; unknown is always included unless excluded")
	cmd.Flags().StringArrayVar(&f.users, "user", nil, "glob on the user, such as 'ann@admin'; a leading ! excludes; may be repeated")
	cmd.Flags().StringArrayVar(&f.apps, "app", nil, "glob on the application; a leading ! excludes; may be repeated")
	cmd.Flags().StringVar(&f.since, "since", "", "TIME: only changes from then on")
	cmd.Flags().StringVar(&f.until, "until", "", "TIME: only changes up to then")
	cmd.Flags().IntVar(&f.limit, "limit", 0, fmt.Sprintf("only the newest N; 0 for all (default of a table without --since: %d)", defaultLimit))
	cmd.Flags().BoolVar(&f.follow, "follow", false, "print new changes as they are stored, until Ctrl-C")
	cmd.Flags().BoolVar(&f.wide, "wide", false, "show full statements and _ids")
	cmd.Flags().StringVar(&f.asOf, "as-of", "", "TIME: show the schema at that time")
	cmd.Flags().StringVar(&f.format, "format", "table", "table, json, mongosh or csv")
	cmd.PersistentFlags().StringVar(&f.source, "source", "", "select one source if several share the database (default DDLTAIL_SOURCE)")
	cmd.AddCommand(showCommand(&f.source), diffCommand(&f.source))
	return cmd
}

func showCommand(source *string) *cobra.Command {
	var format string
	cmd := &cobra.Command{
		Use:   "show ID",
		Short: "Show one change in full, with the difference between before and after",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := oneOf(format, "table", "json", "mongosh"); err != nil {
				return err
			}
			return withHistory(cmd, *source, func(ctx context.Context, h historySession) error { return h.show(ctx, args[0], format) })
		},
	}
	cmd.Flags().StringVar(&format, "format", "table", "table, json or mongosh")
	return cmd
}

func diffCommand(source *string) *cobra.Command {
	var format string
	var allowDestructive bool
	cmd := &cobra.Command{
		Use:   "diff FROM TO",
		Short: "Show what differs between the schemas at two times, or the mongosh script from one to the other",
		Args:  cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := oneOf(format, "table", "json", "mongosh"); err != nil {
				return err
			}
			policy := migration.KeepDocuments
			if allowDestructive {
				policy = migration.AllowDestructive
			}
			from, fromErr := parseTime("FROM", args[0], time.Now())
			to, toErr := parseTime("TO", args[1], time.Now())
			if err := mistakes(fromErr, toErr); err != nil {
				return err
			}
			return withHistory(cmd, *source, func(ctx context.Context, h historySession) error { return h.diff(ctx, from, to, format, policy) })
		},
	}
	cmd.Flags().StringVar(&format, "format", "table", "table (side by side), json, or mongosh")
	cmd.Flags().BoolVar(&allowDestructive, "allow-destructive", false, "mongosh: drop collections that do not exist at TO, and drop and recreate those that collMod cannot change; their documents are lost")
	return cmd
}

// historyQuery is the query that the flags of `history` describe.
type historyQuery struct {
	query  history.Query
	asOf   time.Time
	format string
	follow bool
	wide   bool
}

// parse checks all flags and reports every error.
func (f historyFlags) parse(now time.Time, set func(string) bool) (historyQuery, error) {
	q := historyQuery{format: f.format, follow: f.follow, wide: f.wide, query: history.Query{
		Namespaces: f.namespaces, Users: f.users, Apps: f.apps, Source: f.source, Limit: f.limit}}
	var errs [6]error
	q.query.Since, errs[0] = parseOptionalTime("--since", f.since, now)
	q.query.Until, errs[1] = parseOptionalTime("--until", f.until, now)
	q.asOf, errs[2] = parseOptionalTime("--as-of", f.asOf, now)
	errs[3] = oneOf(f.format, "table", "json", "mongosh", "csv")
	q.query.Filter, errs[4] = f.filter()
	switch {
	case f.limit < 0:
		errs[5] = &config.Error{Reason: "--limit", Remedy: "want 0 or a positive number"}
	case f.asOf != "" && (f.since != "" || f.until != "" || len(f.operations) > 0 || len(f.risk) > 0 || len(f.users) > 0 || len(f.apps) > 0 || f.follow || set("limit") || f.format == "csv"):
		errs[5] = &config.Error{Reason: "--as-of", Remedy: "use it only with --ns, --source and --format table, json or mongosh"}
	case f.follow && f.until != "":
		errs[5] = &config.Error{Reason: "--follow", Remedy: "it runs until Ctrl-C: leave out --until"}
	}
	if f.format == "table" && f.since == "" && f.until == "" && !set("limit") {
		q.query.Limit = defaultLimit
	}
	return q, mistakes(errs[:]...)
}

// filter returns the filter of the flags except --ns.
func (f historyFlags) filter() (notification.Filter, error) {
	filter, err := notification.NewFilter(notification.Rules{Operations: f.operations, Risk: f.risk, User: f.users, App: f.apps})
	if wrong := (*notification.RuleError)(nil); errors.As(err, &wrong) {
		flag := map[string]string{"operations": "--operation", "risk": "--risk"}[wrong.Field]
		return filter, &config.Error{Reason: flag, Remedy: fmt.Sprintf("%q: want one of %v", wrong.Item, wrong.Want)}
	}
	return filter, nil
}

func parseOptionalTime(flag, text string, now time.Time) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	return parseTime(flag, text, now)
}

func parseTime(name, text string, now time.Time) (time.Time, error) {
	at, err := history.ParseMoment(text, now)
	if err != nil {
		return at, &config.Error{Reason: name, Remedy: err.Error(), Err: err}
	}
	return at, nil
}

func oneOf(format string, allowed ...string) error {
	if slices.Contains(allowed, format) {
		return nil
	}
	return &config.Error{Reason: "--format", Remedy: "want " + strings.Join(allowed, ", ")}
}

// mistakes joins the errors of a command line.
func mistakes(errs ...error) error {
	var all config.Errors
	for _, err := range errs {
		var one *config.Error
		if errors.As(err, &one) {
			all = append(all, one)
		}
	}
	if len(all) == 0 {
		return nil
	}
	return all
}

// withHistory connects to the sink and runs a query there.
func withHistory(cmd *cobra.Command, source string, work func(context.Context, historySession) error) error {
	cfg, log, err := configure(cmd.Context(), historyLimit)
	if err != nil {
		return err
	}
	if source == "" {
		source = cfg.Source
	}
	return withSink(cmd.Context(), cfg, log, privileges.Use{Role: privileges.History, Database: cfg.Database}, func(ctx context.Context, db *mongo.Database) error {
		h := historySession{reader: history.NewReader(db), source: source, database: cfg.Database, out: cmd.OutOrStdout(), notes: cmd.ErrOrStderr()}
		err := work(ctx, h)
		if ctx.Err() != nil && errors.Is(err, context.Canceled) {
			return errInterrupted
		}
		return err
	})
}

var errInterrupted = errors.New("interrupted")

// historySession is what a query reads from and writes to.
type historySession struct {
	reader     history.Reader
	source     string
	database   string
	out, notes io.Writer
}
