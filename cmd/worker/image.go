//go:build image

package main

import (
	"github.com/spf13/cobra"
	_ "golang.org/x/crypto/x509roots/fallback" // an image from scratch has no certificates; those of a system go first where there are any
	_ "time/tzdata"                            // nor has it time zones

	"forager/cmd/worker/shell"
)

// demonstration is empty: the image needs no servers of its own.
func demonstration(*shell.Shell) []*cobra.Command { return nil }
