package hive_test

import (
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"

	"forager/hive"
)

// TestReportsOfAnObservable: the shape is that of the documented webhook document of an analyzer's report; no other fails.
func TestReportsOfAnObservable(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]hive.Reports{
		`{"VT_3":{"taxonomies":[{"level":"info","namespace":"VT","predicate":"GetReport","value":"0/92"}]}}`: {"VT_3": {Taxonomies: []hive.Taxonomy{{Level: "info", Namespace: "VT", Predicate: "GetReport"}}}},
		`{}`: nil, `null`: nil, `[]`: nil, `"x"`: nil, `7`: nil,
		`{"a":7,"b":{"taxonomies":"x"},"c":{}}`: {"c": {}},
	} {
		var o hive.Observable
		if err := json.Unmarshal([]byte(`{"_id":"~1","reports":`+text+`}`), &o); err != nil {
			t.Errorf("%s: %v", text, err)
		}
		if diff := cmp.Diff(want, o.Reports); diff != "" || o.ID != "~1" {
			t.Errorf("%s (-want +got): %s", text, diff)
		}
	}
}
