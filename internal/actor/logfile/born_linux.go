package logfile

import (
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// born returns when a file was created, zero if its file system does not record that.
func born(file *os.File) time.Time {
	var status unix.Statx_t
	err := unix.Statx(int(file.Fd()), "", unix.AT_EMPTY_PATH, unix.STATX_BTIME, &status) //nolint:gosec // a descriptor is small
	if err != nil || status.Mask&unix.STATX_BTIME == 0 {
		return time.Time{}
	}
	return time.Unix(status.Btime.Sec, int64(status.Btime.Nsec))
}
