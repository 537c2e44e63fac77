package hivetest_test

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"forager/hive/hivetest"
)

// TestARightMayLackInOneCase: what needs it there is answered 403, and nowhere else; the case says so.
func TestARightMayLackInOneCase(t *testing.T) {
	t.Parallel()
	h := hivetest.New(hivetest.Options{})
	var ids []string
	for range 2 {
		made, _ := call(t, h, http.MethodPost, casePath, someCase).value.(map[string]any)
		id, _ := made["_id"].(string)
		ids = append(ids, id)
	}
	comment := func(id string) answer {
		return call(t, h, http.MethodPost, casePath+"/"+id+"/comment", `{"message":"m"}`)
	}
	before, _ := comment(ids[0]).value.(map[string]any)
	old, _ := before["_id"].(string)
	if !h.Deny(ids[0], "manageComment") || h.Deny("~9999999", "manageComment") {
		t.Fatal("denied in a case that there is not, or not in one that there is")
	}
	for name, a := range map[string]answer{
		"comment": comment(ids[0]), "by number": comment("1"),
		"comment's own path": call(t, h, http.MethodPatch, "/api/v1/comment/"+old, `{"message":"n"}`),
	} {
		if a.status != http.StatusForbidden || !strings.Contains(string(a.raw), "AuthorizationError") {
			t.Errorf("%s: %d %s", name, a.status, a.raw)
		}
	}
	if a := comment(ids[1]); a.status != http.StatusCreated {
		t.Errorf("another case: %d %s", a.status, a.raw)
	}
	for path, want := range map[string]bool{casePath + "/" + ids[0]: false, casePath + "/" + ids[1]: true} {
		c, _ := call(t, h, http.MethodGet, path, "").value.(map[string]any)
		rights, _ := c["userPermissions"].([]any)
		if slices.Contains(rights, any("manageComment")) != want || !slices.Contains(rights, any("manageObservable")) {
			t.Errorf("%s: %v", path, rights)
		}
	}
	if user := call(t, h, http.MethodGet, "/api/v1/user/current", ""); !strings.Contains(string(user.raw), "manageComment") {
		t.Errorf("the account lost the right: %s", user.raw)
	}
	if a := comment(ids[0]); !h.Deny(ids[0]) || a.status != http.StatusForbidden || comment(ids[0]).status != http.StatusCreated {
		t.Error("the right does not come back")
	}
}
