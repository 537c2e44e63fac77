package deploytest

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"sigs.k8s.io/yaml"
)

const chart = "../chart"

// helm is the Helm that $HELM names, else the version that go.mod names, built once.
var helm = sync.OnceValues(func() (string, error) {
	if tool := os.Getenv("HELM"); tool != "" {
		return tool, nil
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", err
	}
	tool := filepath.Join(cache, "forager-ci", "helm")
	if out, err := exec.Command("go", "build", "-o", tool, "helm.sh/helm/v4/cmd/helm").CombinedOutput(); err != nil {
		return "", fmt.Errorf("%w\n%s", err, out)
	}
	return tool, nil
})

// runHelm gives what Helm prints, and what it complains of.
func runHelm(t *testing.T, args ...string) (out, complaint string, err error) {
	t.Helper()
	tool, err := helm()
	if err != nil {
		t.Fatalf("build helm: %v", err)
	}
	home := t.TempDir()
	cmd := exec.CommandContext(t.Context(), tool, args...)
	cmd.Env = append(os.Environ(), "HELM_CACHE_HOME="+home, "HELM_CONFIG_HOME="+home, "HELM_DATA_HOME="+home, "KUBECONFIG="+filepath.Join(home, "none"))
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err = cmd.Run()
	return stdout.String(), stderr.String(), err
}

// valueSets are the values that the chart is tested with, by name.
func valueSets(t *testing.T) map[string]string {
	t.Helper()
	found, err := filepath.Glob(chart + "/ci/*.yaml")
	if err != nil || len(found) < 5 {
		t.Fatalf("value sets: %v, %v", found, err)
	}
	sets := map[string]string{}
	for _, f := range found {
		sets[strings.TrimSuffix(filepath.Base(f), ".yaml")] = f
	}
	return sets
}

// object is a rendered object, as text and as a tree.
type object struct {
	kind, name string
	text       []byte
	tree       map[string]any
}

// render gives the objects of the chart with these values.
func render(t *testing.T, args ...string) []object {
	t.Helper()
	out, complaint, err := runHelm(t, append([]string{"template", "soc", chart, "--namespace", "soc"}, args...)...)
	if err != nil {
		t.Fatalf("helm template: %v\n%s", err, complaint)
	}
	var all []object
	for text := range strings.SplitSeq(out, "\n---\n") {
		var tree map[string]any
		if err := yaml.UnmarshalStrict([]byte(text), &tree); err != nil {
			t.Fatalf("%v\n%s", err, text)
		}
		if len(tree) == 0 {
			continue
		}
		kind, _ := tree["kind"].(string)
		version, _ := tree["apiVersion"].(string)
		name, _ := at(tree, "metadata", "name").(string)
		all = append(all, object{kind: version + " " + kind, name: name, text: []byte(text), tree: tree})
	}
	return all
}

// at walks a tree: keys for maps, numbers for lists; nil is what is not there.
func at(tree any, path ...any) any {
	for _, step := range path {
		switch s := step.(type) {
		case string:
			m, _ := tree.(map[string]any)
			tree = m[s]
		case int:
			l, _ := tree.([]any)
			if s >= len(l) {
				return nil
			}
			tree = l[s]
		}
	}
	return tree
}

// one finds the only object of a kind, beside the intake's.
func one(t *testing.T, all []object, kind string) object {
	t.Helper()
	return only(t, all, kind, false)
}

// only finds the only object of a kind: the intake's, or the other one.
func only(t *testing.T, all []object, kind string, intake bool) object {
	t.Helper()
	var found []object
	for _, o := range all {
		if strings.HasSuffix(o.kind, " "+kind) && strings.HasSuffix(o.name, "-intake") == intake {
			found = append(found, o)
		}
	}
	if len(found) != 1 {
		t.Fatalf("%d objects of kind %s, want one", len(found), kind)
	}
	return found[0]
}
