//go:build !linux

package procgroup

// waitStopped does nothing where the kernel does not report the end of a stop without the status of the child.
func waitStopped(int) error { return nil }
