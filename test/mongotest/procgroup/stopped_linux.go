package procgroup

import (
	"errors"

	"golang.org/x/sys/unix"
)

// waitStopped returns when every thread of a child has stopped, or the child has ended. It leaves the child's status to [exec.Cmd.Wait].
func waitStopped(pid int) error {
	for {
		err := unix.Waitid(unix.P_PID, pid, nil, unix.WSTOPPED|unix.WEXITED|unix.WNOWAIT, nil)
		if !errors.Is(err, unix.EINTR) {
			return err
		}
	}
}
