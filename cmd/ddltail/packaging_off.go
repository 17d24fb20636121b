//go:build !packaging

package main

import "github.com/spf13/cobra"

// packagingCommands are not part of the program that is installed.
func packagingCommands() []*cobra.Command { return nil }
