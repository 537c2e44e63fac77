//go:build !image

package main

// demonstration is what the image leaves out: with it goes the embedded NATS server.
type demonstration struct {
	Demo demoCmd `cmd:"" help:"Show the whole way of alerts with nothing but this binary."`
}
