//go:build !linux

package procgroup

// waitStopped does nothing: only Linux reports that a child has stopped without reaping it.
func waitStopped(int) error { return nil }
