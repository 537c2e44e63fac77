package hive_test

import (
	"net/http"
	"net/url"
	"reflect"
	"slices"
	"strings"
	"testing"

	"forager/hive"
	"forager/hive/admin"
	"forager/hive/connector"
)

// withoutMethod are the parts of TheHive's API that have no method here, and why. What a program
// needs of them goes through [hive.Client.Exchange].
var withoutMethod = map[string]string{
	"/dashboard":                  "pages for people",
	"/views":                      "lists that people keep",
	"/branding":                   "pictures for people",
	"/caseReport":                 "documents for people, by templates of their own",
	"/case/{caseId}/report":       "documents for people, by templates of their own",
	"/config/":                    "what the web pages remember for their user",
	"/auth/":                      "a second factor and rules for passwords: for people who log in",
	"/login":                      "a client sends its credentials with each call",
	"/logout":                     "a client sends its credentials with each call",
	"/admin/":                     "upkeep of the server's database and logs, by its administrator",
	"/describe/":                  "what the web pages ask for their search forms",
	"/export":                     "tables for people; the query API gives the same",
	"/function":                   "programs that run within TheHive",
	"/connector/alert-feeder":     "feeders that run within TheHive",
	"/connector/email-intake":     "mailboxes that TheHive reads",
	"/taxonomy":                   "lists of tags",
	"/tag/":                       "colours of tags",
	"/alertStatus":                "words for stages, made once by people",
	"/caseStatus":                 "words for stages, made once by people",
	"/catalog":                    "made by the import of patterns",
	"/pattern/{patternId} DELETE": "patterns come and go with their catalogue",
	"/pattern/case/":              "CaseProcedures says more",
	"/stream":                     "changes as they happen: the webhook tells them",
	"/flow":                       "changes as they happen: the webhook tells them",

	"/organisation/{orgId}/avatar":        "pictures for people",
	"/user/{userId}/avatar":               "pictures for people",
	"/user/current/attachments":           "pictures for people",
	"/attachment":                         "pictures of the knowledge base",
	"/connector/cortex/analyzer/template": "how the web pages show a report",
	"/connector/cortex/actions":           "RunResponder, for each",
	"/connector/cortex/responders":        "Responders says which an object may have",
	"/observable/type/{typeId} PATCH":     "types are made once",
	"/case/customField/":                  "UpdateCase sets a field, and says which",
	"/license/{licenseId} GET":            "Licenses brings them all",
	"/{attachmentId} GET":                 "the same as …/download",
}

// TestEveryRouteHasAMethodOrAReason: the table of endpoints, and the streams beside it, against all that the
// newest description has.
func TestEveryRouteHasAMethodOrAReason(t *testing.T) {
	t.Parallel()
	all, err := descriptions()
	must(t, err)
	if len(all) == 0 {
		t.Skip("no OpenAPI description: ../shared/data/thehive is not there")
	}
	d := all[len(all)-1]
	have := map[string]bool{}
	streams := []endpoint{
		{method: "GET", path: "/api/v1/case/1/export"}, {method: "GET", path: "/api/v1/user/u/key"}, {method: "POST", path: "/api/v1/user/u/key/renew"},
		{method: "GET", path: "/api/v1/license/challenge"}, {method: "GET", path: "/api/v1/case/1/attachment/~1/download"},
		{method: "GET", path: "/api/v1/alert/~1/attachment/~1/download"}, {method: "GET", path: "/api/v1/log/~1/attachment/~1/download"},
		{method: "GET", path: "/api/v1/observable/~1/attachment/~1/download"},
	}
	for _, e := range slices.Concat(endpoints(), streams) {
		path, err := url.PathUnescape(e.path)
		must(t, err)
		route, _, err := d.router.FindRoute(&http.Request{Method: e.method, URL: &url.URL{Path: path}})
		if err != nil {
			t.Errorf("%s %s: %v", e.method, e.path, err)
			continue
		}
		have[route.Method+" "+route.Path] = true
	}
	met := map[string]bool{}
	for path, item := range d.doc.Paths.Map() {
		for method := range item.Operations() {
			if !have[method+" "+path] && !excused(method, strings.TrimPrefix(path, "/api/v1"), met) {
				t.Errorf("%s %s has no method, and no reason for that", method, path)
			}
		}
	}
	for part, why := range withoutMethod {
		if !met[part] {
			t.Errorf("%s is listed without need: %s", part, why)
		}
	}
}

// excused finds the reason for which an operation has no method.
func excused(method, path string, met map[string]bool) bool {
	found := false
	for part := range withoutMethod {
		at, only, one := strings.Cut(part, " ")
		if one && (only != method || !strings.HasSuffix(path, at)) || !one && !strings.HasPrefix(path, at) {
			continue
		}
		met[part], found = true, true
	}
	return found
}

// TestFieldsAreThoseOfTheDescriptions: what answers are decoded into has no field that TheHive's own
// description does not have.
func TestFieldsAreThoseOfTheDescriptions(t *testing.T) {
	t.Parallel()
	all, err := descriptions()
	must(t, err)
	if len(all) == 0 {
		t.Skip("no OpenAPI description: ../shared/data/thehive is not there")
	}
	schemas := all[len(all)-1].doc.Components.Schemas
	for name, of := range map[string]reflect.Type{
		"OutputCase": reflect.TypeFor[hive.Case](), "OutputAlert": reflect.TypeFor[hive.Alert](), "OutputObservable": reflect.TypeFor[hive.Observable](),
		"OutputTask": reflect.TypeFor[hive.Task](), "OutputLog": reflect.TypeFor[hive.Log](), "OutputPage": reflect.TypeFor[hive.Page](),
		"OutputComment": reflect.TypeFor[hive.Comment](), "OutputProcedure": reflect.TypeFor[hive.Procedure](), "OutputAttachment": reflect.TypeFor[hive.Attachment](),
		"OutputShare": reflect.TypeFor[hive.Share](), "OutputCustomEvent": reflect.TypeFor[hive.CustomEvent](), "OutputTimelineEvent": reflect.TypeFor[hive.TimelineEvent](),
		"OutputImportCase": reflect.TypeFor[hive.ImportedCase](), "OutputMergeCases": reflect.TypeFor[hive.MergedObservables](), "OutputPattern": reflect.TypeFor[hive.Pattern](),
		"OutputCaseWithLinks": reflect.TypeFor[hive.LinkedCase](), "OutputUser": reflect.TypeFor[admin.User](), "OutputProfile": reflect.TypeFor[admin.Profile](),
		"OutputOrganisation": reflect.TypeFor[admin.Organisation](), "OutputOrganisationLink": reflect.TypeFor[admin.LinkedOrganisation](),
		"OutputSharingProfile": reflect.TypeFor[admin.SharingProfile](), "OutputCustomField": reflect.TypeFor[admin.CustomField](),
		"OutputObservableType": reflect.TypeFor[admin.ObservableType](), "OutputCaseTemplate": reflect.TypeFor[admin.CaseTemplate](), "OutputLicense": reflect.TypeFor[admin.License](),
		"OutputPublicStatus": reflect.TypeFor[admin.PublicStatus](), "PermissionDesc": reflect.TypeFor[admin.Permission](), "OutputUserOrganisation": reflect.TypeFor[admin.Membership](),
		"OutputJob": reflect.TypeFor[connector.Job](), "OutputAction": reflect.TypeFor[connector.Action](), "OutputWorker": reflect.TypeFor[connector.Worker](),
		"InputShare": reflect.TypeFor[hive.NewShare](), "InputCreateCase": reflect.TypeFor[hive.NewCase](), "InputCreateCaseFromAlert": reflect.TypeFor[hive.CaseFromAlert](),
		"InputCreateTask": reflect.TypeFor[hive.NewTask](), "InputCreateLog": reflect.TypeFor[hive.NewLog](), "InputCreatePage": reflect.TypeFor[hive.NewPage](),
		"InputProcedure": reflect.TypeFor[hive.NewProcedure](), "InputCustomEvent": reflect.TypeFor[hive.NewCustomEvent](), "InputChangeCaseOwnership": reflect.TypeFor[hive.Ownership](),
		"InputCreateUser": reflect.TypeFor[admin.NewUser](), "InputCreateOrganisation": reflect.TypeFor[admin.NewOrganisation](), "InputCustomField": reflect.TypeFor[admin.NewCustomField](),
		"InputCreateCaseTemplate": reflect.TypeFor[admin.NewCaseTemplate](), "InputJob": reflect.TypeFor[connector.NewJob](), "InputAction": reflect.TypeFor[connector.NewAction](),
		"InputImportCase1": reflect.TypeFor[connector.MISPImport](),
	} {
		schema := schemas[name]
		if schema == nil {
			t.Errorf("no schema %s", name)
			continue
		}
		for _, field := range fieldsOf(of) {
			if schema.Value.Properties[field] == nil {
				t.Errorf("%s of %s is no field of %s", field, of, name)
			}
		}
	}
}

// fieldsOf are the names of a type's fields in JSON.
func fieldsOf(of reflect.Type) (all []string) {
	for f := range of.Fields() {
		tag, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		switch {
		case f.Anonymous:
			all = append(all, fieldsOf(f.Type)...)
		case tag == "":
			all = append(all, strings.ToLower(f.Name)+" (without a name)")
		default:
			all = append(all, tag)
		}
	}
	return all
}
