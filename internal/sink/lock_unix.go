//go:build unix

package sink

import (
	"errors"
	"os"
	"syscall"
)

// lock takes an advisory lock, which the system gives back when the process ends
// in whatever way.
func lock(f *os.File) error {
	err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if errors.Is(err, syscall.EWOULDBLOCK) {
		return ErrLocked
	}
	return err
}
