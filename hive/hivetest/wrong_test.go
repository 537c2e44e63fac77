package hivetest_test

import (
	"encoding/json"
	"strings"
	"testing"

	"forager/hive/hivetest"
)

// TestAWrongAnswerLiesOfWhatWasDone: the effect stands.
func TestAWrongAnswerLiesOfWhatWasDone(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		how          hivetest.Wrong
		path, body   string
		holds, lacks string
	}{
		"a refusal without its value":  {hivetest.Nameless, "/observable", `{"dataType":"ip","data":["192.0.2.1","192.0.2.2"]}`, "already exists", `"object"`},
		"another value":                {hivetest.Other, "/observable", `{"dataType":"ip","data":["192.0.2.2"]}`, `"data":"other"`, "192.0.2.2"},
		"another technique":            {hivetest.Other, "/procedures", `{"procedures":[{"patternId":"T1110","occurDate":1}]}`, "T0000", `"patternId":"T1110"`},
		"another comment":              {hivetest.Other, "/comment", `{"message":"hello"}`, `"message":"other"`, "hello"},
		"one value fewer":              {hivetest.Fewer, "/observable", `{"dataType":"ip","data":["192.0.2.2","192.0.2.3"]}`, "192.0.2.2", "192.0.2.3"},
		"one fewer, and one is double": {hivetest.Fewer, "/observable", `{"dataType":"ip","data":["192.0.2.1","192.0.2.2"]}`, `"success":[]`, `"data":"192.0.2.2"`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, hivetest.Options{})
			r.do("POST", "/api/v1/case", `{"title":"t","description":"d"}`)
			r.do("POST", "/api/v1/case/1/observable", `{"dataType":"ip","data":["192.0.2.1"]}`)
			r.hive.On(hivetest.AfterEffect, "", func(hivetest.Call) hivetest.Action { return hivetest.Action{Wrong: c.how} })
			got, err := r.send("POST", "/api/v1/case/1"+c.path, "application/json", []byte(c.body))
			if err != nil || got.status >= 300 || !strings.Contains(string(got.raw), c.holds) || strings.Contains(string(got.raw), c.lacks) {
				t.Errorf("%d %s, %v", got.status, got.raw, err)
			}
			made := r.hive.Snapshot().Cases[0]
			if len(made.Observables)+len(made.Procedures)+len(made.Comments) < 2 {
				t.Errorf("case %+v", made)
			}
		})
	}
}

// TestAFieldThatNobodyDefinedIsLeftOutOrRefused: by option.
func TestAFieldThatNobodyDefinedIsLeftOutOrRefused(t *testing.T) {
	t.Parallel()
	const body = `{"title":"t","description":"d","customFields":[{"name":"nowhere","value":"x"}]}`
	for refuse, want := range map[string]int{"": 201, "dropped": 201, "refused": 404} {
		r := newRig(t, hivetest.Options{Quirks: hivetest.Quirks{UnknownField: refuse}})
		got := r.do("POST", "/api/v1/case", body)
		var made struct {
			Fields []any `json:"customFields"`
		}
		if err := json.Unmarshal(got.raw, &made); err != nil || got.status != want || len(made.Fields) != 0 {
			t.Errorf("%q: %d %s", refuse, got.status, got.raw)
		}
	}
}

// TestTheDiceMakeWrongAnswers: by a misbehaviour that a script may set.
func TestTheDiceMakeWrongAnswers(t *testing.T) {
	t.Parallel()
	r := newRig(t, hivetest.Options{})
	r.do("POST", "/api/v1/case", `{"title":"t","description":"d"}`)
	r.hive.Set(hivetest.Misbehaviour{Wrong: 1})
	wrong := 0
	for range 20 {
		got, err := r.send("POST", "/api/v1/case/1/procedures", "application/json", []byte(`{"procedures":[{"patternId":"T1110","occurDate":1}]}`))
		if err != nil || got.status != 201 {
			t.Fatal(got.status, err)
		}
		if !strings.Contains(string(got.raw), `"patternId":"T1110"`) {
			wrong++
		}
	}
	if wrong == 0 || wrong == 20 || len(r.hive.Snapshot().Cases[0].Procedures) != 20 {
		t.Errorf("%d of 20 answers are wrong, %d procedures", wrong, len(r.hive.Snapshot().Cases[0].Procedures))
	}
}
