package config

import (
	"errors"
	"slices"
	"strings"
)

// Error is a permanent configuration error: the process ends with exit code 2. Its text
// names the variable or the privilege and contains no credential.
type Error struct {
	// Reason names what is wrong.
	Reason string
	// Remedy is what to do; empty if the reason shows it.
	Remedy string
	// Err is the cause; nil if the configuration itself is invalid.
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

// OnlyUnresolved reports whether all errors are names that DNS does not know, which may be
// temporary.
func OnlyUnresolved(err error) bool {
	var all Errors
	if !errors.As(err, &all) {
		return false
	}
	return !slices.ContainsFunc(all, func(e *Error) bool {
		var unresolved *ResolutionError
		return !errors.As(e.Err, &unresolved)
	})
}

// Errors are all errors of one configuration.
type Errors []*Error

func (e Errors) Error() string {
	lines := make([]string, len(e))
	for i, one := range e {
		lines[i] = one.Error()
	}
	return strings.Join(lines, "\n")
}

// Unwrap returns each error.
func (e Errors) Unwrap() []error {
	errs := make([]error, len(e))
	for i, one := range e {
		errs[i] = one
	}
	return errs
}
