// Command check judges the records of fault runs, files of JSON lines that the fault tests keep in DDLTAIL_LEDGER_DIR.
//
//	go run ./test/faults/check FILE...
//
// It prints a verdict for each and exits with 1 if a guarantee is violated, with 2 if a file is not a
// record.
package main

import (
	"fmt"
	"io"
	"os"

	"github.com/ddltail/ddltail/test/faults/ledger"
	"github.com/ddltail/ddltail/test/faults/verdict"
)

func main() { os.Exit(run(os.Args[1:], os.Stdout, os.Stderr)) }

func run(paths []string, stdout, stderr io.Writer) int {
	if len(paths) == 0 {
		fmt.Fprintln(stderr, "usage: check FILE...")
		return 2
	}
	code := 0
	for _, path := range paths {
		v, err := judge(path)
		if err != nil {
			fmt.Fprintln(stderr, err)
			return 2
		}
		fmt.Fprint(stdout, v)
		if !v.Sound() {
			code = 1
		}
	}
	return code
}

func judge(path string) (verdict.Verdict, error) {
	file, err := os.Open(path)
	if err != nil {
		return verdict.Verdict{}, err
	}
	defer file.Close()
	record, err := ledger.ReadRun(file)
	if err != nil {
		return verdict.Verdict{}, fmt.Errorf("%s: %w", path, err)
	}
	return verdict.Judge(record), nil
}
