// Command bench measures what ddltail costs the database that it watches, and how soon it
// reports a change, beside its peers: change streams, a loop that tails the oplog, and the
// server's own scan. All of them alternate in one run on replica sets of the run's own.
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
		err = bench(ctx, *binary, *out, *scale, *only)
	}
	if err != nil && ctx.Err() == nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func bench(ctx context.Context, binary, out, scaleName, only string) error {
	scale, err := scaleOf(scaleName)
	if err != nil {
		return err
	}
	peers, err := newPeers(binary)
	if err != nil {
		return err
	}
	report, err := newReport(ctx, scale, binary)
	if err != nil {
		return err
	}
	for _, w := range selected(only) {
		report.log("%s …", w.title)
		table, err := w.measure(ctx, run{scale: scale, peers: peers, log: report.log})
		if err != nil {
			return fmt.Errorf("%s: %w", w.name, err)
		}
		report.add(w, table)
		if err := report.write(filepath.Clean(out)); err != nil {
			return err
		}
	}
	fmt.Print(report.markdown())
	return nil
}
