package deploytest

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"sigs.k8s.io/yaml"
)

const nack = "jetstream.nats.io/v1beta2"

// customSchemas are the schemas of KEDA's and nack's resources, closed: a field that they do not
// name would be dropped by the API server without a word. They lie next to the repository.
func customSchemas(t *testing.T) map[string]*jsonschema.Schema {
	t.Helper()
	files, err := filepath.Glob("../../../shared/data/kubernetes/*.yaml")
	if err != nil {
		t.Fatal(err)
	}
	if len(files) == 0 {
		t.Log("the schemas of KEDA and nack are not here (../shared/data/kubernetes): their objects are rendered, not validated")
	}
	all := map[string]*jsonschema.Schema{}
	for _, f := range files {
		text, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		for doc := range strings.SplitSeq(string(text), "\n---\n") {
			addSchemas(t, all, []byte(doc))
		}
	}
	return all
}

func addSchemas(t *testing.T, all map[string]*jsonschema.Schema, doc []byte) {
	t.Helper()
	var crd map[string]any
	if err := yaml.Unmarshal(doc, &crd); err != nil {
		t.Fatal(err)
	}
	group, _ := at(crd, "spec", "group").(string)
	kind, _ := at(crd, "spec", "names", "kind").(string)
	versions, _ := at(crd, "spec", "versions").([]any)
	for _, v := range versions {
		version, _ := at(v, "name").(string)
		schema, ok := at(v, "schema", "openAPIV3Schema").(map[string]any)
		if !ok {
			continue
		}
		if properties, ok := schema["properties"].(map[string]any); ok { // what every object has
			properties["apiVersion"], properties["kind"], properties["metadata"] = map[string]any{}, map[string]any{}, map[string]any{}
		}
		closeSchema(schema)
		name := group + "/" + version + " " + kind
		c := jsonschema.NewCompiler()
		c.DefaultDraft(jsonschema.Draft4)
		address := "crd:///" + group + "/" + version + "/" + kind
		if err := c.AddResource(address, schema); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		compiled, err := c.Compile(address)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		all[name] = compiled
	}
}

// closeSchema makes a Kubernetes schema refuse what it does not name.
func closeSchema(schema map[string]any) {
	if schema["x-kubernetes-int-or-string"] == true {
		delete(schema, "type")
	}
	if nullable, _ := schema["nullable"].(bool); nullable {
		delete(schema, "type")
	}
	properties, named := schema["properties"].(map[string]any)
	_, open := schema["additionalProperties"]
	if named && !open && schema["x-kubernetes-preserve-unknown-fields"] != true {
		schema["additionalProperties"] = false
	}
	for _, p := range properties {
		if p, ok := p.(map[string]any); ok {
			closeSchema(p)
		}
	}
	for _, key := range []string{"items", "additionalProperties"} {
		if s, ok := schema[key].(map[string]any); ok {
			closeSchema(s)
		}
	}
}
