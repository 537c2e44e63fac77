//go:build integration

package integration

import (
	"context"
	"flag"
	"fmt"
	"os"
	"testing"

	"github.com/testcontainers/testcontainers-go/log"
)

// proof is the size of the storm that proves something.
const proof = 20_000

// detections is the size of the storm; development wants less.
var detections = flag.Int("detections", proof, "how many detections the storm on several hosts carries")

// lasts is how long the storm lasts; everything breaks once, and again while it does.
var lasts = flag.Duration("lasts", rainTime, "how long the storm on several hosts lasts; longer than the usual, everything breaks again and again")

// logs is where the whole logs of all containers are kept, for whoever wants to know more than the last lines.
var logs = flag.String("logs", "", "directory into which every container's log is written at the end of its test")

// TestMain makes testcontainers do without what would have to be pulled, and removes the images at the end.
func TestMain(m *testing.M) {
	flag.Parse()
	for name, value := range map[string]string{
		"TESTCONTAINERS_RYUK_DISABLED": "true",      // its image would be pulled; what this package starts it removes itself
		"TESTCONTAINERS_HOST_OVERRIDE": "127.0.0.1", // in machines made from images the guess is the gateway
	} {
		if _, set := os.LookupEnv(name); set {
			continue
		}
		if err := os.Setenv(name, value); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
	log.SetDefault(log.NewNoopLogger()) // it tells of every container that begins; the tests tell what matters
	code := m.Run()
	removeImages(context.Background())
	os.Exit(code)
}
