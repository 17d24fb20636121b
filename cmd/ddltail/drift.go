package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime/debug"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/ddltail/ddltail/internal/config"
	"github.com/ddltail/ddltail/internal/declaration"
	"github.com/ddltail/ddltail/internal/drift"
	"github.com/ddltail/ddltail/internal/migration"
	"github.com/ddltail/ddltail/internal/notification"
	"github.com/ddltail/ddltail/internal/schema"
	"github.com/ddltail/ddltail/internal/store"
	"github.com/ddltail/ddltail/internal/terminal"
)

// errDrift ends the command with exitDrift.
var errDrift = errors.New("the live schema differs from the declared one")

const gcPercent = 20

type driftFlags struct {
	namespaces       []string
	exact            bool
	at, source       string
	format           string
	ignore           string
	write            string
	allowDestructive bool
}

func driftCommand() *cobra.Command {
	var f driftFlags
	cmd := &cobra.Command{
		Use:   "drift DECLARATION… | drift --write PATH",
		Short: "Compare the live schema with a declared one; exit 3 if they differ",
		Long: "Compare the live schema with a declared one, and show the change that caused each difference.\n\n" +
			"A DECLARATION is a mongosh script, which is parsed, not run (*.js); JSON or YAML like the output of\n" +
			"listCollections and listIndexes; *.metadata.json of mongodump; a folder of these; another server\n" +
			"(mongodb://…); or the history of a source at a time (history:SOURCE, history:@TIME, history:SOURCE@TIME).\n" +
			"Namespaces that it does not name are compared only with --exact.\n\n" +
			"Exit codes: 0 no drift, 1 not compared, 2 an error in the command line or a declaration, 3 drift.",
		Example: "  ddltail drift schema/ --ignore accepted.txt\n" +
			"  ddltail drift mongodb://localhost:27018/ --format junit > drift.xml\n" +
			"  ddltail drift schema.js --format mongosh\n" +
			"  ddltail drift --write schema/",
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := f.check(args); err != nil {
				return err
			}
			ask, err := f.parse(args)
			if err != nil {
				return err
			}
			return ask.run(cmd.Context(), cmd.OutOrStdout(), cmd.ErrOrStderr())
		},
		DisableFlagsInUseLine: true,
	}
	cmd.Flags().StringArrayVar(&f.namespaces, "ns", nil, "glob on db.collection; a leading ! excludes; may be repeated")
	cmd.Flags().BoolVar(&f.exact, "exact", false, "also compare namespaces that the declaration does not name")
	cmd.Flags().StringVar(&f.at, "at", "", "TIME: compare with the catalog at that time; the server is not read")
	cmd.Flags().StringVar(&f.source, "source", "", "the live set's source in the history (default DDLTAIL_SOURCE)")
	cmd.Flags().StringVar(&f.format, "format", "table", "table, json, mongosh (the migration script) or junit")
	cmd.Flags().StringVar(&f.ignore, "ignore", "", "file of accepted differences, one per line: PATTERN # REASON")
	cmd.Flags().StringVar(&f.write, "write", "", "write the live schema as a declaration: *.js, *.json, *.yaml or a folder")
	cmd.Flags().BoolVar(&f.allowDestructive, "allow-destructive", false,
		"mongosh: include drops, rebuilds and shorter expiries; documents are lost")
	cmd.AddCommand(acceptCommand())
	return cmd
}

func acceptCommand() *cobra.Command {
	var file, reason string
	cmd := &cobra.Command{
		Use:     "accept ID… --ignore FILE --reason TEXT",
		Short:   "Append differences to a file of accepted ones",
		Example: "  ddltail drift accept unexpected:shop.orders:amount_1 --ignore accepted.txt --reason 'made by hand, OPS-12'",
		Args:    cobra.MinimumNArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			if file == "" || reason == "" {
				return &config.Error{Reason: "--ignore and --reason", Remedy: "set both: the file and the reason"}
			}
			if err := drift.Accept(file, args, reason); err != nil {
				return &config.Error{Reason: "accept", Remedy: err.Error(), Err: err}
			}
			return nil
		},
		DisableFlagsInUseLine: true,
	}
	cmd.Flags().StringVar(&file, "ignore", "", "the file, which is created if it does not exist")
	cmd.Flags().StringVar(&reason, "reason", "", "why")
	return cmd
}

func (f driftFlags) check(args []string) error {
	if err := oneOf(f.format, "table", "json", "mongosh", "junit"); err != nil {
		return err
	}
	switch {
	case f.write == "" && len(args) == 0:
		return &config.Error{Reason: "DECLARATION", Remedy: "name a file, a folder, a server or history:, or --write PATH"}
	case f.write != "" && len(args) > 0:
		return &config.Error{Reason: "--write", Remedy: "it only writes the live schema: leave out DECLARATION"}
	case f.allowDestructive && f.format != "mongosh":
		return &config.Error{Reason: "--allow-destructive", Remedy: "use it with --format mongosh only"}
	}
	return nil
}

// driftQuery is the query that the flags of `drift` describe.
type driftQuery struct {
	driftFlags
	cfg config.Config
	// own are ddltail's own collections, which are not compared.
	own     schema.Scope
	at      time.Time
	filter  notification.Filter
	ignored drift.Ignore
	// declared are the arguments.
	declared []string
}

func (f driftFlags) parse(args []string) (driftQuery, error) {
	q := driftQuery{driftFlags: f, declared: args}
	var errs [3]error
	q.at, errs[0] = parseOptionalTime("--at", f.at, time.Now())
	var err error
	if q.filter, err = notification.NewFilter(notification.Rules{Namespaces: f.namespaces}); err != nil {
		errs[1] = &config.Error{Reason: "--ns", Remedy: err.Error(), Err: err}
	}
	if f.ignore != "" {
		if q.ignored, err = drift.ReadIgnore(f.ignore); err != nil {
			errs[2] = &config.Error{Reason: "--ignore", Remedy: err.Error(), Err: err}
		}
	}
	if err := mistakes(errs[:]...); err != nil {
		return q, err
	}
	q.cfg, err = config.Load(time.Now())
	q.own = schema.Scope{Own: store.Collections(q.cfg.Database)}
	return q, err
}

// includes reports whether a namespace is compared. A declared server or its dump may have a ddltail
// of its own.
func (q driftQuery) includes(ns schema.Namespace) bool {
	return !q.own.IsOwn(ns.String()) && q.filter.Passes(notification.Change{Operation: notification.ModifyCollection, Database: ns.Database, Collection: ns.Collection})
}

func (q driftQuery) run(ctx context.Context, out, notes io.Writer) error {
	// A declaration can be large and the process is short-lived: prefer memory to speed.
	debug.SetGCPercent(gcPercent)
	hist, err := q.connect(ctx, notes)
	if err != nil {
		return err
	}
	defer hist.close()
	// Report an error in a declaration before waiting for a server.
	declared, err := q.readDeclared(ctx, hist)
	if err != nil {
		return err
	}
	live, err := q.readLive(ctx, hist)
	if err != nil {
		return err
	}
	if q.write != "" {
		return q.writeLive(out, live)
	}
	report, unknown := q.compare(declared, live)
	if len(unknown) > 0 {
		return fmt.Errorf("not compared: %s", strings.Join(unknown, "; "))
	}
	if err := hist.causes(ctx, report.Open, q.at); err != nil {
		return err
	}
	if err := q.print(out, report, declared, live); err != nil {
		return err
	}
	if len(report.Open) > 0 {
		return errDrift
	}
	return nil
}

func (q driftQuery) writeLive(out io.Writer, live schema.Listed) error {
	if len(live.Unlisted) > 0 {
		return fmt.Errorf("the server cannot list %s: %s; exclude it with --ns", live.Unlisted[0], live.Unlisted[0].Reason)
	}
	all := q.selected(definitionsOf(live))
	if err := declaration.Write(q.write, all); err != nil {
		return declarationError(err)
	}
	fmt.Fprintf(out, "%d namespaces written to %s\n", len(all), terminal.Escape(q.write))
	return nil
}

func (q driftQuery) selected(all schema.Definitions) schema.Definitions {
	out := schema.Definitions{}
	for ns, def := range all {
		if q.includes(ns) {
			out[ns] = def
		}
	}
	return out
}

// compare also returns the namespaces to compare that the server cannot list.
func (q driftQuery) compare(declared schema.Definitions, live schema.Listed) (drift.Report, []string) {
	var unknown []string
	for _, u := range live.Unlisted {
		if q.concerns(u, declared) {
			unknown = append(unknown, fmt.Sprintf("the server cannot list %s: %s", u, u.Reason))
		}
	}
	have := definitionsOf(live)
	all := drift.Compare(declared, have, drift.Scope{Exact: q.exact, Includes: q.includes})
	var report drift.Report
	report.Open, report.Accepted = q.ignored.Split(all)
	report.Compared = len(q.selected(declared))
	return report, unknown
}

// concerns reports whether the comparison includes what the server cannot list.
func (q driftQuery) concerns(u schema.Unlisted, declared schema.Definitions) bool {
	if q.exact && q.includes(u.Namespace) {
		return true
	}
	for ns, def := range declared {
		if u.Covers(ns, def.Kind) && q.includes(ns) {
			return true
		}
	}
	return false
}

func definitionsOf(l schema.Listed) schema.Definitions {
	out := schema.Definitions{}
	for _, v := range l.Versions {
		if v.Definition != nil && !v.Definition.Temporary {
			out[v.Namespace] = *v.Definition
		}
	}
	return out
}

func (q driftQuery) print(out io.Writer, r drift.Report, declared schema.Definitions, live schema.Listed) error {
	switch q.format {
	case "json":
		return r.WriteJSON(out)
	case "junit":
		return r.WriteJUnit(out)
	case "mongosh":
		policy := migration.KeepObjects
		if q.allowDestructive {
			policy = migration.AllowDestructive
		}
		script := drift.Script(r.Open, declared, definitionsOf(live), policy)
		_, err := io.WriteString(out, script.String())
		return err
	}
	return r.WriteTable(out, terminal.Of(out))
}

func declarationError(err error) error {
	var mistake *declaration.Error
	if errors.As(err, &mistake) {
		return &config.Error{Reason: "declaration", Remedy: err.Error(), Err: err}
	}
	return err
}
