//go:build !linux

package logfile

import (
	"os"
	"time"
)

// born returns zero: it is not known when a file was created.
func born(*os.File) time.Time { return time.Time{} }
