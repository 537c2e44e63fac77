package main

import (
	"bytes"
	"context"
	"os"
	"path"
	"path/filepath"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
	"github.com/sourcegraph/conc"

	"forager/cmd/worker/workertest"
)

// composed is what a test wants to know of deploy/compose.yaml.
type composed struct {
	Services map[string]struct {
		Image       string
		DependsOn   []string `yaml:"depends_on"`
		Command     []string
		Environment map[string]string
		Volumes     []string
	}
	Volumes map[string]any
}

// TestComposeNamesWhatIsThere: services, volumes and folders; pulling and starting them needs a container engine.
func TestComposeNamesWhatIsThere(t *testing.T) {
	c := readCompose(t)
	for name, s := range c.Services {
		if s.Image == "" {
			t.Errorf("%s: no image", name)
		}
		for _, on := range s.DependsOn {
			if _, there := c.Services[on]; !there {
				t.Errorf("%s waits for %s, which is no service", name, on)
			}
		}
		for _, v := range s.Volumes {
			from, _, _ := strings.Cut(v, ":")
			if _, there := c.Volumes[from]; there {
				continue
			}
			if _, err := os.Stat(filepath.Join(workertest.Root(t), "deploy", filepath.FromSlash(from))); err != nil {
				t.Errorf("%s mounts %s: %v", name, from, err)
			}
		}
	}
}

// TestACaseAppearsAfterComposeIsUp: the worker and the sender run with the environment and the command that the file gives them, against a
// server of each kind that stands for the containers. At first TheHive refuses the key: the samples wait. With the key they become cases.
func TestACaseAppearsAfterComposeIsUp(t *testing.T) {
	c, b := readCompose(t), newBackyard(t)
	env := func(service, key string) []string {
		all := []string{"FORAGER_OPS_ADDR=", "FORAGER_LOG_LEVEL=error"}
		for name, value := range c.Services[service].Environment {
			switch name {
			case "FORAGER_NATS_URL", "FORAGER_HIVE_URL":
				value = variable(b.env, name)
			case "FORAGER_HIVE_API_KEY":
				if !strings.HasPrefix(value, "${FORAGER_HIVE_API_KEY:-") {
					t.Errorf("the key is %s", value)
				}
				value = key
			}
			all = append(all, name+"="+value)
		}
		return all
	}
	up := func(key string) func() {
		ctx, stop := context.WithCancel(t.Context())
		var running conc.WaitGroup
		var out, said bytes.Buffer
		running.Go(func() {
			if code := run(ctx, []string{"run"}, env("worker", key), strings.NewReader(""), &out, &said); code != exitDone {
				t.Errorf("the worker ends with %d: %s", code, said.String())
			}
		})
		return func() { stop(); running.Wait() }
	}
	down := up("none-yet")
	sender := c.Services["sender"]
	samples, to, _ := strings.Cut(strings.TrimSuffix(sender.Volumes[0], ":ro"), ":")
	var args []string
	for _, a := range sender.Command {
		if a == to {
			a = filepath.Join(workertest.Root(t), filepath.FromSlash(path.Join("deploy", samples)))
		}
		args = append(args, a)
	}
	var out, said bytes.Buffer
	if code := run(t.Context(), args, env("sender", ""), strings.NewReader(""), &out, &said); code != exitDone || strings.Count(out.String(), "\n") < 50 {
		t.Fatalf("the sender ends with %d after %d events: %s", code, strings.Count(out.String(), "\n"), said.String())
	}
	if n := len(b.cases()); n > 0 {
		t.Errorf("%d cases without a key", n)
	}
	down()
	defer up(variable(b.env, "FORAGER_HIVE_API_KEY"))()
	workertest.Eventually(t, "cases", func() bool { return len(b.cases()) >= 20 })
}

func readCompose(t *testing.T) (c composed) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(workertest.Root(t), "deploy", "compose.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	if err := yaml.Unmarshal(text, &c); err != nil {
		t.Fatal(err)
	}
	return c
}
