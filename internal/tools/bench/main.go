// Command bench measures ddltail's load on the watched database and the latency of reported changes,
// compared with its peers: change streams, a loop that tails the oplog, and a scan by the server. All
// of them alternate in one run, on replica sets that the run starts.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
)

func main() {
	binary := flag.String("ddltail", "bin/ddltail", "the ddltail to measure")
	out := flag.String("out", "bench", "the folder of bench.md and bench.json")
	scale := flag.String("scale", os.Getenv("BENCH_SCALE"), "small, moderate (default) or full")
	only := flag.String("only", "", "comma-separated workloads; all if empty")
	page := flag.String("page", "", "a page whose text after its mark is replaced by the tables")
	peer := flag.String("peer", "", "internal: run as this peer")
	var r role
	r.flags()
	flag.Parse()
	ctx, cancel := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer cancel()
	err := errors.New("want no arguments")
	switch {
	case flag.NArg() > 0:
	case *peer != "":
		err = r.run(ctx, *peer)
	default:
		err = bench(ctx, plan{binary: *binary, out: filepath.Clean(*out), scale: *scale, only: *only, page: *page})
	}
	if err != nil && ctx.Err() == nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// plan holds the command line.
type plan struct{ binary, out, scale, only, page string }

func bench(ctx context.Context, p plan) error {
	scale, err := scaleOf(p.scale)
	if err != nil {
		return err
	}
	peers, err := newPeers(p.binary)
	if err != nil {
		return err
	}
	report, err := newReport(ctx, scale, p.binary)
	if err != nil {
		return err
	}
	for _, w := range selected(p.only) {
		report.log("%s …", w.title)
		table, err := w.measure(ctx, run{scale: scale, peers: peers, log: report.log})
		if err != nil {
			return fmt.Errorf("%s: %w", w.name, err)
		}
		report.add(w, table)
		if err := report.write(p.out); err != nil {
			return err
		}
	}
	fmt.Print(report.markdown())
	if p.page == "" {
		return nil
	}
	return report.writePage(p.page)
}
