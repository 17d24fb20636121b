//go:build !unix

package procgroup

import (
	"os/exec"
	"syscall"
)

// Without process groups there is no /bin/sh either: New fails before any of these matters.
const (
	stopSignal     = syscall.SIGTERM
	continueSignal = syscall.SIGTERM
)

func leadGroup(*exec.Cmd) {}

func joinGroup(*exec.Cmd, int) {}
