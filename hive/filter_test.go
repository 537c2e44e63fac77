package hive_test

import (
	"encoding/json"
	"errors"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"forager/hive"
)

func TestFiltersSpeakTheQueryLanguage(t *testing.T) {
	t.Parallel()
	type level int
	day := time.Date(2026, 1, 2, 3, 4, 5, 678999, time.FixedZone("", 3600))
	for want, f := range map[string]hive.Filter{
		`{"_any":null}`: hive.Any(),
		`{"_eq":{"_field":"title","_value":"a\"}],{\"_any\":null"}}`: hive.Eq("title", `a"}],{"_any":null`),
		`{"_ne":{"_field":"severity","_value":3}}`:                   hive.Ne("severity", level(3)),
		`{"_gt":{"_field":"_createdAt","_value":1767319445000}}`:     hive.Gt("_createdAt", day),
		`{"_gte":{"_field":"n","_value":9007199254740993}}`:          hive.Gte("n", int64(9007199254740993)),
		`{"_lt":{"_field":"startDate","_value":5}}`:                  hive.Lt("startDate", hive.Millis(5)),
		`{"_lte":{"_field":"customFields.score","_value":0.5}}`:      hive.Lte(hive.CustomFieldPath("score"), 0.5),
		`{"_eq":{"_field":"flag","_value":true}}`:                    hive.Eq("flag", true),
		`{"_in":{"_field":"status","_values":["New","InProgress"]}}`: hive.In("status", "New", "InProgress"),
		`{"_in":{"_field":"status","_values":[]}}`:                   hive.In[string]("status"),
		`{"_has":"endDate"}`:                                         hive.Has("endDate"),
		`{"_like":{"_field":"title","_value":"x*"}}`:                 hive.Like("title", "x*"),
		`{"_match":{"_field":"title","_value":"w"}}`:                 hive.Match("title", "w"),
		`{"_startsWith":{"_field":"title","_value":"w"}}`:            hive.StartsWith("title", "w"),
		`{"_endsWith":{"_field":"title","_value":"w"}}`:              hive.EndsWith("title", "w"),
		`{"_id":"~12"}`: hive.ID("~12"),
		`{"_between":{"_field":"date","_from":1,"_to":2}}`: hive.Between("date", hive.Millis(1), hive.Millis(2)),
		`{"_and":[{"_any":null},{"_not":{"_has":"x"}}]}`:   hive.And(hive.Filter{}, hive.Not(hive.Has("x"))),
		`{"_or":[]}`:             hive.Or(),
		`{"_or":[{"_has":"x"}]}`: hive.Or(hive.Has("x")),
		`{"_gt":{"_field":"d","_value":{"amount":1,"unit":"days","timezone":"Europe/Paris","modifier":"startOfDay","look":"ahead"}}}`: hive.Gt("d",
			hive.Relative{Amount: 1, Unit: "days", Ahead: true, Timezone: "Europe/Paris", Modifier: "startOfDay"}),
	} {
		got, err := json.Marshal(f)
		if err != nil {
			t.Errorf("%s: %v", want, err)
			continue
		}
		sameJSON(t, want, want, string(got))
		if strings.Contains(want, "9007199254740993") && !strings.Contains(string(got), "9007199254740993") {
			t.Errorf("large integer lost: %s", got)
		}
	}
}

func TestLargeIntegerStaysExactOnTheWire(t *testing.T) {
	t.Parallel()
	c, log := serve(t, answer(200, `1`))
	if _, err := c.CountCases(t.Context(), hive.Eq("n", int64(9007199254740993))); err != nil {
		t.Fatal(err)
	}
	if body := log.all()[0].Body; !strings.Contains(body, "9007199254740993") {
		t.Errorf("body %s", body)
	}
}

func TestFilterMistakesAreFoundBeforeAnyRequest(t *testing.T) {
	t.Parallel()
	for name, f := range map[string]hive.Filter{
		"empty field":        hive.Eq("", "x"),
		"empty field in has": hive.Has(""),
		"field is no text":   hive.Eq("\xff", "x"),
		"value is no text":   hive.Eq("title", "\xff"),
		"value among many":   hive.In("title", "ok", "\xff"),
		"not a number":       hive.Lt("n", math.NaN()),
		"infinite":           hive.Between("n", 0.0, math.Inf(1)),
		"unknown unit":       hive.Gt("d", hive.Relative{Amount: 1, Unit: "fortnights"}),
		"negative amount":    hive.Gt("d", hive.Relative{Amount: -1, Unit: "days"}),
		"unknown modifier":   hive.Gt("d", hive.Relative{Unit: "days", Modifier: "noon"}),
		"id":                 hive.ID(`~1"},{`),
		"deep below":         hive.Not(hive.Or(hive.And(hive.Has("x"), hive.ID("1")))),
		"alone in an and":    hive.And(hive.Eq("", 1)),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c, log := serve(t, answer(200, `[]`))
			_, err := collect(c.FindCases(t.Context(), hive.Query{Filter: f}))
			if !errors.Is(err, hive.ErrInvalid) {
				t.Errorf("list: %v", err)
			}
			if _, err = c.CountCases(t.Context(), f); !errors.Is(err, hive.ErrInvalid) {
				t.Errorf("count: %v", err)
			}
			if len(log.all()) != 0 {
				t.Error("request sent")
			}
		})
	}
}

func TestFilterIsNotChangedByItsParts(t *testing.T) {
	t.Parallel()
	parts := []hive.Filter{hive.Has("a"), hive.Has("b")}
	f := hive.And(parts...)
	parts[0] = hive.Any()
	got, err := json.Marshal(f)
	if err != nil {
		t.Fatal(err)
	}
	sameJSON(t, "filter", `{"_and":[{"_has":"a"},{"_has":"b"}]}`, string(got))
}

// FuzzFilterValue puts hostile text where values and field names go, and reads
// the request back: the structure must be what was built, the text what was given.
func FuzzFilterValue(f *testing.F) {
	for _, s := range []string{"", "x", `"}]}`, `{"_any":null}`, "\x00", "\u2028", "~1", "_eq", `\"`, "é\U0001F600", "*", "</script>"} {
		f.Add(s, s)
	}
	var sent string
	transport := roundTrip(func(body string) string { sent = body; return "0" })
	c, err := hive.New(hive.Options{URL: "http://hive.test", APIKey: testKey, Transport: transport})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, field, value string) {
		sent = ""
		filter := hive.And(hive.Eq(field, value), hive.Not(hive.In(field, value, "x")), hive.Like(field, value))
		_, err := c.CountCases(t.Context(), filter)
		if err != nil {
			if !errors.Is(err, hive.ErrInvalid) || sent != "" {
				t.Fatalf("error %v, sent %q", err, sent)
			}
			return
		}
		same := map[string]any{"_field": field, "_value": value}
		want := map[string]any{"query": []any{
			map[string]any{"_name": "listCase"},
			map[string]any{"_name": "filter", "_and": []any{
				map[string]any{"_eq": same},
				map[string]any{"_not": map[string]any{"_in": map[string]any{"_field": field, "_values": []any{value, "x"}}}},
				map[string]any{"_like": same},
			}},
			map[string]any{"_name": "count"},
		}}
		var got any
		if err := json.Unmarshal([]byte(sent), &got); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(any(want), got); diff != "" {
			t.Error(diff)
		}
	})
}
