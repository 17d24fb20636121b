//go:build !unix

package sink

import (
	"errors"
	"os"
)

// lock refuses: without it two processes would mix their lines.
func lock(*os.File) error { return errors.New("file locks are not supported on this platform") }
