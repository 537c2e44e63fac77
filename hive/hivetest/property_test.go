package hivetest_test

import (
	"fmt"
	"strconv"
	"testing"

	"pgregory.net/rapid"

	"forager/hive/hivetest"
)

// Whatever happens to cases, the index finds by tag exactly what a look at every case finds; observables stay unique
// below their case; and what a merge or a delete takes away is gone everywhere.
func TestIndexAgreesWithTheCases(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(r *rapid.T) {
		h := hivetest.New(hivetest.Options{})
		tag := rapid.SampledFrom([]string{"a", "b", "c"})
		number := rapid.IntRange(1, 6)
		r.Repeat(map[string]func(*rapid.T){
			"create": func(r *rapid.T) {
				call(t, h, "POST", casePath, `{"title":"t","description":"d","tags":`+jsonOf(rapid.SliceOfN(tag, 0, 3).Draw(r, "tags"))+`}`)
			},
			"retag": func(r *rapid.T) {
				call(t, h, "PATCH", casePath+"/"+strconv.Itoa(number.Draw(r, "case")),
					`{"addTags":["`+tag.Draw(r, "add")+`"],"removeTags":["`+tag.Draw(r, "remove")+`"]}`)
			},
			"observe": func(r *rapid.T) {
				call(t, h, "POST", casePath+"/"+strconv.Itoa(number.Draw(r, "case"))+"/observable",
					`{"dataType":"other","data":"`+tag.Draw(r, "value")+`"}`)
			},
			"retype": func(r *rapid.T) {
				o := call(t, h, "POST", queryPath, `{"query":[{"_name":"listObservable"},{"_name":"page","from":0,"to":1}]}`)
				if id, ok := o.at("0._id").(string); ok {
					call(t, h, "PATCH", "/api/v1/observable/"+id, `{"dataType":"`+rapid.SampledFrom([]string{"other", "domain"}).Draw(r, "type")+`"}`)
				}
			},
			"delete": func(r *rapid.T) { call(t, h, "DELETE", casePath+"/"+strconv.Itoa(number.Draw(r, "case")), "") },
			"merge": func(r *rapid.T) {
				call(t, h, "POST", casePath+"/_merge/"+fmt.Sprintf("%d,%d", number.Draw(r, "one"), number.Draw(r, "other")), "")
			},
			"": func(r *rapid.T) { consistent(r, t, h) },
		})
	})
}

func consistent(r *rapid.T, t *testing.T, h *hivetest.Hive) {
	s := h.Snapshot()
	observables, tagged := 0, map[string]int{}
	for _, c := range s.Cases {
		observables += len(c.Observables)
		for _, tag := range c.Tags {
			tagged[tag]++
		}
	}
	for _, tag := range []string{"a", "b", "c"} {
		eq := `{"_field":"tags","_value":"` + tag + `"}`
		indexed := count(t, h, `{"query":[{"_name":"listCase"},{"_name":"filter","_eq":`+eq+`},{"_name":"count"}]}`)
		scanned := count(t, h, `{"query":[{"_name":"listCase"},{"_name":"filter","_not":{"_not":{"_eq":`+eq+`}}},{"_name":"count"}]}`)
		if want := strconv.Itoa(tagged[tag]); indexed != want || scanned != want {
			r.Fatalf("tag %s: index %s, scan %s, want %s", tag, indexed, scanned, want)
		}
	}
	if n := h.Stats(0); n.Observables != observables || n.Cases != len(s.Cases) || n.Duplicates.Observables != 0 {
		r.Fatalf("%+v; snapshot: %d cases, %d observables", n, len(s.Cases), observables)
	}
}
