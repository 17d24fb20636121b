package config

import "strings"

// Error is a mistake that trying again cannot mend: the process ends with exit
// code 2. Its text names the variable or the privilege, and never a credential.
type Error struct {
	// Reason is what is wrong.
	Reason string
	// Remedy is what would be right; empty where the reason says it.
	Remedy string
}

func (e *Error) Error() string {
	if e.Remedy == "" {
		return e.Reason
	}
	return e.Reason + ": " + e.Remedy
}

// Errors are all mistakes of one configuration.
type Errors []*Error

func (e Errors) Error() string {
	lines := make([]string, len(e))
	for i, one := range e {
		lines[i] = one.Error()
	}
	return strings.Join(lines, "\n")
}
