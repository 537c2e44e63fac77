//go:build !image

package main

import (
	"github.com/spf13/cobra"

	"forager/cmd/worker/demo"
	"forager/cmd/worker/shell"
)

// demonstration is what the image leaves out: with it go the embedded NATS server and the simulated TheHive.
func demonstration(sh *shell.Shell) []*cobra.Command { return demo.Commands(sh) }
