package config

import "strings"

// Error is a mistake that a retry cannot resolve: the process ends with exit code 2. Its
// text names the variable or the privilege, and never a credential.
type Error struct {
	// Reason is what is wrong.
	Reason string
	// Remedy is what would be right; empty where the reason says it.
	Remedy string
	// Err is the cause; nil where the mistake is in the configuration itself.
	Err error
}

func (e *Error) Error() string {
	if e.Remedy == "" {
		return e.Reason
	}
	return e.Reason + ": " + e.Remedy
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// Errors are all mistakes of one configuration.
type Errors []*Error

func (e Errors) Error() string {
	lines := make([]string, len(e))
	for i, one := range e {
		lines[i] = one.Error()
	}
	return strings.Join(lines, "\n")
}

// Unwrap returns each mistake.
func (e Errors) Unwrap() []error {
	errs := make([]error, len(e))
	for i, one := range e {
		errs[i] = one
	}
	return errs
}
