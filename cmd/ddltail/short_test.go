package main

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
)

// errRefused is what a server says that refuses a command.
var errRefused = errors.New(`(Unauthorized) not authorized on admin to execute command { usersInfo: 1, lsid: { id: UUID("d0") }, ` +
	`$clusterTime: { signature: { keyId: 7 } }, $db: "admin" }`)

// TestShort: no log line and no probe repeats a refused command, however the error is logged.
func TestShort(t *testing.T) {
	var out bytes.Buffer
	log := zap.New(shortErrors{zapcore.NewCore(encoder("json"), zapcore.AddSync(&out), zapcore.InfoLevel)})
	wrapped := fmt.Errorf("read: %w", errRefused)
	log.Warn("one", zap.Error(wrapped))
	log.With(zap.Error(wrapped)).Warn("two", zap.String("reason", wrapped.Error()))
	log.Warn("three", zap.Error(errors.Join(wrapped, errors.New("the other"))), zap.Int("n", 3))
	log.Debug("not enabled", zap.Error(wrapped))
	report(&out, wrapped, true)
	report(&out, wrapped, false)
	out.WriteString(shortProbe(func() error { return wrapped })().Error())
	text := out.String()
	if strings.Contains(text, "lsid") || strings.Contains(text, "signature") || strings.Contains(text, "not enabled") {
		t.Error(text)
	}
	if strings.Count(text, "read: (Unauthorized) not authorized on admin") != 7 || !strings.Contains(text, "the other") || !strings.Contains(text, `"n":3`) {
		t.Errorf("too short:\n%s", text)
	}
	if err := shortProbe(func() error { return nil })(); err != nil {
		t.Error(err)
	}
}
