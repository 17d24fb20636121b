package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/ddltail/ddltail/internal/config"
	"github.com/ddltail/ddltail/internal/delivery"
	"github.com/ddltail/ddltail/internal/notification"
	"github.com/ddltail/ddltail/internal/receivers"
	"github.com/ddltail/ddltail/internal/terminal"
)

// maxResponse bounds the printed part of a line of a response, in characters.
const maxResponse = 2000

func receiversCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "receivers",
		Short: "Check the receivers of DDLTAIL_RECEIVERS_FILE",
		Args:  cobra.NoArgs,
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(receiversTestCommand(), receiversRenderCommand())
	return cmd
}

func receiversTestCommand() *cobra.Command {
	var operation string
	cmd := &cobra.Command{
		Use:   "test NAME",
		Short: "Send a sample marked [test] and print the response; in PagerDuty and Alertmanager it is resolved at once",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			o := notification.Operation(strings.ToUpper(operation))
			if !slices.Contains(notification.Operations(), o) {
				return &config.Error{Reason: "--operation", Remedy: fmt.Sprintf("want one of %v", notification.Operations())}
			}
			r, err := findReceiver(args[0])
			if err != nil {
				return err
			}
			defer r.Close()
			sample, err := receivers.Sample(o, time.Now())
			if err != nil {
				return err
			}
			return printExchanges(cmd.OutOrStdout(), r.Name, r.Test(cmd.Context(), sample))
		},
	}
	cmd.Flags().StringVar(&operation, "operation", string(notification.DropCollection), "the operation of the sample")
	return cmd
}

func receiversRenderCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "render NAME ID",
		Short: "Print the message of a receiver for a change in the history, without sending it",
		Args:  cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			r, err := findReceiver(args[0])
			if err != nil {
				return err
			}
			defer r.Close()
			return withHistory(cmd, "", func(ctx context.Context, h historySession) error { return h.render(ctx, r, args[1]) })
		},
	}
}

// findReceiver returns the receiver with this name; "backend" is that of DDLTAIL_BACKEND_URL.
func findReceiver(name string) (receivers.Receiver, error) {
	cfg, err := config.Load(time.Now())
	if err != nil {
		return receivers.Receiver{}, err
	}
	all, err := allReceivers(cfg)
	if err != nil {
		return receivers.Receiver{}, err
	}
	if len(all) == 0 {
		return receivers.Receiver{}, &config.Error{Reason: "no receiver is configured", Remedy: "set DDLTAIL_RECEIVERS_FILE or DDLTAIL_BACKEND_URL"}
	}
	var names []string
	for _, r := range all {
		if r.Name == name {
			return r, nil
		}
		names = append(names, r.Name)
	}
	return receivers.Receiver{}, &config.Error{Reason: fmt.Sprintf("no receiver %q", name), Remedy: "want one of " + strings.Join(names, ", ")}
}

// allReceivers returns the receivers of the file, and that of DDLTAIL_BACKEND_URL.
func allReceivers(cfg config.Config) ([]receivers.Receiver, error) {
	var all []receivers.Receiver
	var wrong config.Errors
	agent := "ddltail/" + orUnknown(build().Version)
	if cfg.ReceiversFile != "" {
		var err error
		if all, err = receivers.Load(cfg.ReceiversFile, agent); err != nil && !errors.As(err, &wrong) {
			return nil, err
		}
	}
	if cfg.BackendURL != "" {
		secret, err := delivery.ParseSecret(cfg.WebhookSecret)
		if err != nil {
			wrong = append(wrong, &config.Error{Reason: "DDLTAIL_WEBHOOK_SECRET", Remedy: err.Error()})
		}
		backend, err := receivers.Backend(cfg.BackendURL, secret, agent)
		if err != nil {
			wrong = append(wrong, &config.Error{Reason: "DDLTAIL_BACKEND_URL", Remedy: err.Error()})
		}
		all = append(all, backend)
	}
	if len(wrong) > 0 {
		return nil, wrong
	}
	return all, nil
}

// printExchanges prints requests and responses. It returns an error if a request was not accepted.
func printExchanges(out io.Writer, name string, exchanges []receivers.Exchange) error {
	failed := false
	for _, e := range exchanges {
		failed = failed || e.Outcome.Verdict != delivery.Delivered
		text := e.Outcome.Reason
		if e.Answer.Code != 0 {
			text = strings.TrimSpace(fmt.Sprintf("%d %s", e.Answer.Code, http.StatusText(e.Answer.Code)))
		}
		fmt.Fprintf(out, "%s: %s\n", e.Action, terminal.Escape(text))
		for line := range strings.Lines(strings.ToValidUTF8(string(e.Answer.Body), "\uFFFD")) {
			fmt.Fprintf(out, "  %s\n", terminal.Cut(terminal.Escape(strings.TrimRight(line, "\r\n")), maxResponse))
		}
	}
	if failed {
		return fmt.Errorf("%s did not accept the sample", name)
	}
	return nil
}

// render prints the message that a receiver gets for a stored change, indented if it is JSON.
func (h historySession) render(ctx context.Context, r receivers.Receiver, id string) error {
	c, err := h.find(ctx, id)
	if err != nil {
		return err
	}
	body, err := r.Render([]receivers.Notification{{ID: c.ID, Document: c.Raw}})
	if err != nil {
		return fmt.Errorf("render %s for %s: %w", terminal.Escape(id), r.Name, err)
	}
	var indented bytes.Buffer
	if err := json.Indent(&indented, body, "", "  "); err == nil {
		body = indented.Bytes()
	}
	for line := range strings.Lines(string(body)) {
		if _, err := fmt.Fprintln(h.out, terminal.Escape(strings.TrimSuffix(line, "\n"))); err != nil {
			return fmt.Errorf("write the output: %w", err)
		}
	}
	return nil
}
