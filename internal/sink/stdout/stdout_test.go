package stdout

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ddltail/ddltail/internal/sink"
	"github.com/ddltail/ddltail/test/sinktest"
)

func TestSink(t *testing.T) {
	sinktest.Run(t, func(t *testing.T) sinktest.Target {
		output, err := os.Create(filepath.Join(t.TempDir(), "stdout"))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { output.Close() })
		return sinktest.Target{
			Open: func(t *testing.T) sink.Sink {
				opened, err := Kind().Open(sink.Spec{Name: "stdout"}, nil, sink.Resources{Stdout: output})
				if err != nil {
					t.Fatal(err)
				}
				return opened[0]
			},
			Read: func(t *testing.T, _ string) []string {
				text, err := os.ReadFile(output.Name())
				if err != nil {
					t.Fatal(err)
				}
				return strings.Split(strings.TrimSuffix(string(text), "\n"), "\n")
			},
		}
	})
}
