package enrich_test

import (
	"bytes"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"forager/enrich"
	"forager/enrich/detection"
	"forager/enrich/detection/canon"
	"forager/enrich/rules"
)

// TestOneHostHasOneCase: of all samples, and of those of the demonstration, the detections on a host have one key,
// however the sender writes its name.
func TestOneHostHasOneCase(t *testing.T) {
	t.Parallel()
	decoder, err := detection.New(detection.Options{})
	if err != nil {
		t.Fatal(err)
	}
	p := planner(t, rules.Rules{})
	keys, n := map[string]map[string]string{}, 0
	for _, dir := range []string{"detection/testdata", "../cmd/worker/demo/samples", "../../shared/data/samples", "../../shared/data/samples-2"} {
		if _, err := os.Stat(dir); err != nil {
			t.Logf("without the samples in %s, which is not to be had", dir)
			continue
		}
		for file, d := range detectionsIn(t, decoder, dir) {
			plan, err := p.Plan(d, enrich.Origin{Time: day(9)})
			host := canon.FoldHost(d.Host, false)
			if err != nil || host == "" || d.Format == "native" && plan.Key.Kind == "key" {
				continue // whoever sends Forager's own form keys it
			}
			n++
			if keys[host] == nil {
				keys[host] = map[string]string{}
			}
			keys[host][plan.Hash] = file
		}
	}
	for host, of := range keys {
		if len(of) > 1 {
			t.Errorf("%s is in %d cases: %v", host, len(of), of)
		}
	}
	if n < 100 {
		t.Errorf("%d detections on hosts", n)
	}
	t.Logf("%d detections on %d hosts", n, len(keys))
}

// detectionsIn yields all detections of the files below a directory.
func detectionsIn(t *testing.T, decoder *detection.Decoder, dir string) func(func(string, detection.Detection) bool) {
	t.Helper()
	return func(yield func(string, detection.Detection) bool) {
		err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
			if err != nil || e.IsDir() {
				return err
			}
			body, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			bodies := [][]byte{body}
			if filepath.Ext(path) == ".ndjson" {
				bodies = bytes.Split(body, []byte("\n"))
			}
			for _, one := range bodies {
				r, _ := decoder.Decode(detection.Message{Body: one, Time: day(9)}) // what is none is another test's
				for _, d := range r.Detections {
					if !yield(path, d) {
						return fs.SkipAll
					}
				}
			}
			return nil
		})
		if err != nil {
			t.Error(err)
		}
	}
}

// TestAnAccessKeyIsNoHost: a finding of GuardDuty about one is keyed by whose it is.
func TestAnAccessKeyIsNoHost(t *testing.T) {
	t.Parallel()
	decoder, err := detection.New(detection.Options{})
	if err != nil {
		t.Fatal(err)
	}
	body := `{"id":"f1","type":"UnauthorizedAccess:IAMUser/MaliciousIPCaller.Custom","severity":8,"title":"API ListBuckets was invoked from a known malicious address","accountId":"111122223333","service":{"eventFirstSeen":"2026-03-14T09:00:00Z"},` +
		`"resource":{"resourceType":"AccessKey","accessKeyDetails":{"accessKeyId":"AKIAIOSFODNN7EXAMPLE","userName":"ci-deploy"}}}`
	r, err := decoder.Decode(detection.Message{Body: []byte(body), Time: day(9)})
	if err != nil || len(r.Detections) != 1 {
		t.Fatalf("%d detections, %v", len(r.Detections), err)
	}
	d := r.Detections[0]
	if got := planned(t, planner(t, rules.Rules{}), 1, d).Key.String(); d.Host != "" || got != "user:ci-deploy" {
		t.Errorf("host %q, key %s", d.Host, got)
	}
}
