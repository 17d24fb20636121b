package boottime

import "golang.org/x/sys/unix"

// clock continues while the system sleeps, unlike CLOCK_UPTIME_RAW: clock_gettime(3) of macOS.
const clock = unix.CLOCK_MONOTONIC
