package terminal

import (
	"io"
	"os"
	"strconv"

	"golang.org/x/term"
)

// Colour is an ANSI colour.
type Colour string

// The colours in use.
const (
	Plain  Colour = ""
	Bold   Colour = "1"
	Dim    Colour = "2"
	Red    Colour = "31"
	Green  Colour = "32"
	Yellow Colour = "33"
	Cyan   Colour = "36"
	Alarm  Colour = "1;31"
)

// Screen describes the output for which text is formatted.
type Screen struct {
	// Columns is the width in cells; 0 means unlimited.
	Columns int
	// Coloured is true if escape sequences for colours are used.
	Coloured bool
}

// Of returns the screen of a writer: a terminal with its width, or a pipe or a file, with the width
// $COLUMNS or unlimited. NO_COLOR and a dumb terminal are respected.
func Of(w io.Writer) Screen {
	columns, err := strconv.Atoi(os.Getenv("COLUMNS"))
	if err != nil || columns < 1 {
		columns = 0
	}
	f, ok := w.(*os.File)
	if !ok || !term.IsTerminal(int(f.Fd())) {
		return Screen{Columns: columns}
	}
	if width, _, err := term.GetSize(int(f.Fd())); err == nil && width > 0 {
		columns = width
	}
	return Screen{Columns: columns, Coloured: os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb"}
}

// Paint colours a text if the screen is coloured.
func (s Screen) Paint(c Colour, text string) string {
	if !s.Coloured || c == Plain || text == "" {
		return text
	}
	return "\x1b[" + string(c) + "m" + text + "\x1b[0m"
}
