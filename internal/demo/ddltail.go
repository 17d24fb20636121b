package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"

	"github.com/ddltail/ddltail/internal/mongotest/procgroup"
)

// ddltail is a running `ddltail run`, which ends with the demo however that ends.
type ddltail struct {
	group   *procgroup.Group
	process *procgroup.Process
	log     string
	url     string
}

// startDdltail starts the binary and waits until it says that it is ready.
func startDdltail(ctx context.Context, binary, uri string) (*ddltail, error) {
	path, err := filepath.Abs(binary)
	if err != nil {
		return nil, err
	}
	addr, err := freeAddress(ctx)
	if err != nil {
		return nil, err
	}
	group, err := procgroup.New("ddltail-demo-")
	if err != nil {
		return nil, err
	}
	t := &ddltail{group: group, log: filepath.Join(group.Dir(), "ddltail.log"), url: "http://" + addr}
	log, err := os.Create(t.log)
	if err != nil {
		return nil, errors.Join(err, group.Close())
	}
	defer log.Close()
	cmd := exec.Command(path, "run")
	cmd.Env = append(os.Environ(), "DDLTAIL_MONGODB_URI="+uri, "DDLTAIL_HTTP_ADDR="+addr)
	cmd.Stdout, cmd.Stderr = log, log
	if t.process, err = group.Start(cmd); err != nil {
		return nil, errors.Join(err, group.Close())
	}
	if err := t.waitReady(ctx); err != nil {
		text, _ := os.ReadFile(t.log)
		return nil, errors.Join(fmt.Errorf("%w; ddltail said:\n%s", err, text), group.Close())
	}
	return t, nil
}

func (t *ddltail) waitReady(ctx context.Context) error {
	for {
		select {
		case <-t.process.Exited():
			return fmt.Errorf("ddltail has ended: %w", t.process.Wait())
		case <-ctx.Done():
			return fmt.Errorf("ddltail is not ready: %w", ctx.Err())
		case <-time.After(20 * time.Millisecond):
		}
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, t.url+"/readyz", nil)
		if err != nil {
			return err
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			continue
		}
		resp.Body.Close()
		if resp.StatusCode == http.StatusOK {
			return nil
		}
	}
}

// close stops ddltail as an operator would, and takes its folder away.
func (t *ddltail) close() error {
	if err := t.process.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return errors.Join(err, t.group.Close())
	}
	select {
	case <-t.process.Exited():
	case <-time.After(5 * time.Second):
	}
	return t.group.Close()
}

func freeAddress(ctx context.Context) (string, error) {
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return l.Addr().String(), l.Close()
}
