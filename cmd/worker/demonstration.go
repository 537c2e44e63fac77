//go:build !image

package main

import "github.com/spf13/cobra"

// demonstration is what the image leaves out: with it goes the embedded NATS server.
func demonstration(sh *shell) []*cobra.Command {
	return []*cobra.Command{(&demoCmd{}).command(sh)}
}
