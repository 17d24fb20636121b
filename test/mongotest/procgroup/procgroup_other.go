//go:build !unix

package procgroup

import (
	"os/exec"
	"syscall"
)

// Never used: without /bin/sh New fails.
const (
	stopSignal     = syscall.SIGTERM
	continueSignal = syscall.SIGTERM
)

func leadGroup(*exec.Cmd) {}

func joinGroup(*exec.Cmd, int) {}
