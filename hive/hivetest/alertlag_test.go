package hivetest_test

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"forager/hive/hivetest"
)

// TestWhatAnAlertBringsComesLater: the answer to a promotion is there before the alert's observables and procedures are in
// the case, as TheHive was seen to do (audit documents more than a second later).
func TestWhatAnAlertBringsComesLater(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := hivetest.New(hivetest.Options{})
		h.Set(hivetest.Misbehaviour{ImportLag: 2 * time.Second})
		call(t, h, "POST", "/api/v1/alert", `{"type":"t","source":"s","sourceRef":"r","title":"a","description":"d",
			"observables":[{"dataType":"ip","data":"192.0.2.1"}],"procedures":[{"patternId":"T1566","occurDate":1}]}`)
		if a := call(t, h, "POST", "/api/v1/alert/t;s;r/case", ""); a.status != 201 {
			t.Fatalf("%d %s", a.status, a.raw)
		}
		count := func(of string) string {
			q := `{"query":[{"_name":"getCase","idOrName":"1"},{"_name":"` + of + `"},{"_name":"count"}]}`
			return strings.TrimSpace(string(call(t, h, "POST", "/api/v1/query", q).raw))
		}
		if count("observables")+count("procedures")+count("alerts") != "001" {
			t.Error("what the alert holds was copied before its time, or the alert is not linked")
		}
		time.Sleep(2 * time.Second)
		if count("observables")+count("procedures") != "11" {
			t.Error("what the alert holds never came")
		}
	})
}
