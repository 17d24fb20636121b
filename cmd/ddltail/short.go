package main

import (
	"errors"
	"fmt"

	"go.uber.org/zap/zapcore"

	"github.com/ddltail/ddltail/internal/privileges"
)

// shortErrors is a core that removes from errors the commands that servers repeat in
// their replies: they are long and contain values of users' documents and signatures.
type shortErrors struct{ zapcore.Core }

// With returns the core with fields.
func (c shortErrors) With(fields []zapcore.Field) zapcore.Core {
	return shortErrors{c.Core.With(shortFields(fields))}
}

// Check adds this core, not the one that it wraps.
func (c shortErrors) Check(entry zapcore.Entry, checked *zapcore.CheckedEntry) *zapcore.CheckedEntry {
	if c.Enabled(entry.Level) {
		return checked.AddCore(entry, c)
	}
	return checked
}

// Write logs an entry.
func (c shortErrors) Write(entry zapcore.Entry, fields []zapcore.Field) error {
	if err := c.Core.Write(entry, shortFields(fields)); err != nil {
		return fmt.Errorf("write the log: %w", err)
	}
	return nil
}

func shortFields(fields []zapcore.Field) []zapcore.Field {
	short := make([]zapcore.Field, len(fields))
	for i, f := range fields {
		err, isError := f.Interface.(error)
		switch {
		case f.Type == zapcore.ErrorType && isError && err != nil:
			f = zapcore.Field{Key: f.Key, Type: zapcore.StringType, String: privileges.Short(err)}
		case f.Type == zapcore.StringType:
			f.String = privileges.ShortText(f.String)
		}
		short[i] = f
	}
	return short
}

// shortProbe returns a probe with a short error, because probes need no authentication.
func shortProbe(probe func() error) func() error {
	return func() error {
		if err := probe(); err != nil {
			return errors.New(privileges.Short(err))
		}
		return nil
	}
}
