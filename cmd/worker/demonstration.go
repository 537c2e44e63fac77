//go:build !image

package main

import "github.com/spf13/cobra"

// demonstration is what the image leaves out: with it go the embedded NATS server and the simulated TheHive.
func demonstration(sh *shell) []*cobra.Command {
	return []*cobra.Command{(&demoCmd{}).command(sh), (&simulateCmd{}).command(sh)}
}
