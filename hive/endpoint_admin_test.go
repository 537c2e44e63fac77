package hive_test

import (
	"context"

	"forager/hive"
	"forager/hive/admin"
)

const (
	userJSON = `{"_id":"~1","_createdBy":"s","_createdAt":1,"login":"ann@example.org","name":"Ann","email":"ann@example.org","hasKey":true,"hasPassword":true,"hasMFA":false,"locked":false,
		"profile":"analyst","permissions":["manageCase/create"],"organisation":"o","organisations":[{"organisationId":"~2","organisation":"o","profile":"analyst","links":[]}],
		"type":"Service","defaultOrganisation":"o","extraData":{}}`
	profileJSON      = `{"_id":"~3","_type":"Profile","_createdBy":"s","_createdAt":1,"name":"tier1","permissions":["managePage"],"editable":true,"forAdmin":false,"forOrg":true,"consumesLicense":true}`
	organisationJSON = `{"_id":"~2","_type":"Organisation","_createdBy":"s","_createdAt":1,"name":"o","description":"d","taskRule":"manual","observableRule":"autoShare","locked":true,"extraData":{}}`
	fieldJSON        = `{"_id":"~4","_type":"CustomField","_createdBy":"s","_createdAt":1,"name":"asset","displayName":"Asset","group":"g","description":"d","type":"string","options":["a"],"mandatory":true,"extraData":{}}`
	typeJSON         = `{"_id":"~5","_type":"ObservableType","_createdBy":"s","_createdAt":1,"name":"jarm","isAttachment":true}`
	templateJSON     = `{"_id":"~6","_type":"CaseTemplate","_createdBy":"s","_createdAt":1,"name":"tpl","displayName":"Tpl","titlePrefix":"[P]","description":"d","severity":3,"severityLabel":"HIGH","tags":["t"],
		"flag":true,"tlp":0,"tlpLabel":"CLEAR","pap":1,"papLabel":"GREEN","summary":"s","customFields":[],"tasks":[` + taskJSON + `],"extraData":{}}`
	licenseJSON = `{"_id":"~7","_createdAt":1,"_createdBy":"s","_type":"License","id":"lic","customer":"c","plan":"gold","kind":"k","validFrom":1,"expiresAt":2,"current":true,"capabilities":["x"],"quotas":{"user":5}}`
)

// administers turns a method of package admin into one of an endpoint.
func administers[T any](call func(context.Context, *admin.Admin) (T, error)) func(context.Context, *hive.Client) (T, error) {
	return func(ctx context.Context, c *hive.Client) (T, error) { return call(ctx, admin.New(c)) }
}

// sets is administers for a method without a result.
func sets(call func(context.Context, *admin.Admin) error) func(context.Context, *hive.Client) error {
	return func(ctx context.Context, c *hive.Client) error { return call(ctx, admin.New(c)) }
}

func userEndpoints() []endpoint {
	type ctx = context.Context
	type adm = *admin.Admin
	user := admin.User{User: hive.User{ID: "~1", Login: "ann@example.org", Name: "Ann", Organisation: "o", Profile: "analyst", Permissions: []string{"manageCase/create"},
		Organisations: []hive.Membership{{OrganisationID: "~2", Organisation: "o", Profile: "analyst"}}, Type: admin.Service}, Email: "ann@example.org", HasKey: true, HasPassword: true,
		DefaultOrganisation: "o", CreatedAt: 1, CreatedBy: "s"}
	profile := admin.Profile{ID: "~3", Name: "tier1", Permissions: []string{"managePage"}, Editable: true, ForOrg: true, ConsumesLicense: true, CreatedAt: 1, CreatedBy: "s"}
	const at = "/user/ann@example.org"
	memberships := makes("set organisations", at+"/organisations", `{"organisations":[{"organisation":"o","profile":"analyst","default":true}]}`,
		`{"organisations":[{"organisation":"o","profile":"analyst","default":true}]}`, []admin.Membership{{Organisation: "o", Profile: "analyst", Default: true}},
		administers(func(x ctx, a adm) ([]admin.Membership, error) {
			return a.SetOrganisations(x, "ann@example.org", admin.Membership{Organisation: "o", Profile: "analyst", Default: true})
		}))
	memberships.method, memberships.status = "PUT", 200
	return []endpoint{
		asks("list users", listQuery("listUser", "100"), "["+userJSON+"]", []admin.User{user}, administers(func(x ctx, a adm) ([]admin.User, error) { return collect(a.Users(x, hive.Query{})) })),
		reads("user", at, userJSON, user, administers(func(x ctx, a adm) (admin.User, error) { return a.User(x, "ann@example.org") })),
		makes("create user", "/user", `{"login":"ann@example.org","name":"Ann","profile":"analyst","organisation":"o","email":"ann@example.org","password":"secret12","type":"Service"}`, userJSON, user,
			administers(func(x ctx, a adm) (admin.User, error) {
				return a.CreateUser(x, admin.NewUser{Login: "ann@example.org", Name: "Ann", Profile: "analyst", Organisation: "o", Email: "ann@example.org", Password: "secret12", Type: admin.Service})
			})),
		does("update user", "PATCH", at, `{"name":"n","organisation":"o","profile":"p","email":"a@b.org","type":"Normal","locked":true}`, sets(func(x ctx, a adm) error {
			return a.UpdateUser(x, "ann@example.org", admin.UserUpdate{Name: new("n"), Organisation: new("o"), Profile: new("p"), Email: new("a@b.org"), Type: new(admin.Normal), Locked: new(true)})
		})),
		does("lock user", "DELETE", at, "", sets(func(x ctx, a adm) error { return a.LockUser(x, "ann@example.org") })),
		does("delete user", "DELETE", at+"/force", "", sets(func(x ctx, a adm) error { return a.DeleteUser(x, "ann@example.org", "o") })),
		memberships,
		does("set login", "POST", at+"/login/set", `{"login":"eve@example.org"}`, sets(func(x ctx, a adm) error { return a.SetLogin(x, "ann@example.org", "eve@example.org") })),
		does("set password", "POST", at+"/password/set", `{"password":"secret12"}`, sets(func(x ctx, a adm) error { return a.SetPassword(x, "ann@example.org", "secret12") })),
		does("change password", "POST", at+"/password/change", `{"currentPassword":"a","password":"b"}`, sets(func(x ctx, a adm) error { return a.ChangePassword(x, "ann@example.org", "a", "b") })),
		does("delete key", "DELETE", at+"/key", "", sets(func(x ctx, a adm) error { return a.DeleteKey(x, "ann@example.org") })),
		asks("list profiles", listQuery("listProfile", "100"), "["+profileJSON+"]", []admin.Profile{profile},
			administers(func(x ctx, a adm) ([]admin.Profile, error) { return collect(a.Profiles(x, hive.Query{})) })),
		reads("profile", "/profile/tier1", profileJSON, profile, administers(func(x ctx, a adm) (admin.Profile, error) { return a.Profile(x, "tier1") })),
		makes("create profile", "/profile", `{"name":"tier1","permissions":["managePage"]}`, profileJSON, profile,
			administers(func(x ctx, a adm) (admin.Profile, error) { return a.CreateProfile(x, "tier1", "managePage") })),
		does("update profile", "PATCH", "/profile/tier1", `{"name":"n","permissions":[]}`, sets(func(x ctx, a adm) error {
			return a.UpdateProfile(x, "tier1", admin.ProfileUpdate{Name: new("n"), Permissions: []string{}})
		})),
		does("delete profile", "DELETE", "/profile/tier1", "", sets(func(x ctx, a adm) error { return a.DeleteProfile(x, "tier1") })),
		reads("permissions", "/permission", `[{"name":"managePage","label":"l","consumesLicense":true,"scope":["organisation"]}]`,
			[]admin.Permission{{Name: "managePage", Label: "l", ConsumesLicense: true, Scope: []string{"organisation"}}},
			administers(func(x ctx, a adm) ([]admin.Permission, error) { return a.Permissions(x) })),
	}
}

func organisationEndpoints() []endpoint {
	type ctx = context.Context
	type adm = *admin.Admin
	org := admin.Organisation{ID: "~2", Name: "o", Description: "d", TaskRule: "manual", ObservableRule: "autoShare", Locked: true, CreatedAt: 1, CreatedBy: "s"}
	license := admin.License{ID: "~7", LicenseID: "lic", Customer: "c", Plan: "gold", Kind: "k", ValidFrom: 1, ExpiresAt: 2, Current: true, Capabilities: []string{"x"}, Quotas: map[string]int{"user": 5}}
	link := does("link organisations", "PUT", "/organisation/o/link/p%20q", `{"linkType":"a","otherLinkType":"b"}`, sets(func(x ctx, a adm) error {
		return a.LinkOrganisations(x, "o", admin.OrganisationLink{To: "p q", Kind: "a", Back: "b"})
	}))
	links := does("set organisation links", "PUT", "/organisation/o/links", `{"links":[{"toOrganisation":"p","linkType":"a","otherLinkType":"b"}]}`, sets(func(x ctx, a adm) error {
		return a.SetOrganisationLinks(x, "o", admin.OrganisationLink{To: "p", Kind: "a", Back: "b"})
	}))
	link.status, links.status = 201, 201
	return []endpoint{
		asks("list organisations", listQuery("listOrganisation", "100"), "["+organisationJSON+"]", []admin.Organisation{org},
			administers(func(x ctx, a adm) ([]admin.Organisation, error) { return collect(a.Organisations(x, hive.Query{})) })),
		reads("organisation", "/organisation/o", organisationJSON, org, administers(func(x ctx, a adm) (admin.Organisation, error) { return a.Organisation(x, "o") })),
		makes("create organisation", "/organisation", `{"name":"o","description":"d","taskRule":"manual","observableRule":"autoShare","locked":true}`, organisationJSON, org,
			administers(func(x ctx, a adm) (admin.Organisation, error) {
				return a.CreateOrganisation(x, admin.NewOrganisation{Name: "o", Description: "d", TaskRule: "manual", ObservableRule: "autoShare", Locked: true})
			})),
		does("update organisation", "PATCH", "/organisation/o", `{"name":"n","description":"e","taskRule":"manual","observableRule":"manual","locked":false}`, sets(func(x ctx, a adm) error {
			return a.UpdateOrganisation(x, "o", admin.OrganisationUpdate{Name: new("n"), Description: new("e"), TaskRule: new("manual"), ObservableRule: new("manual"), Locked: new(false)})
		})),
		link, links,
		does("unlink organisations", "DELETE", "/organisation/o/link/p", "", sets(func(x ctx, a adm) error { return a.UnlinkOrganisations(x, "o", "p") })),
		reads("organisation links", "/organisation/o/links", `[{"linkType":"a","otherLinkType":"b","organisation":`+organisationJSON+`}]`, []admin.LinkedOrganisation{{Kind: "a", Back: "b", Organisation: org}},
			administers(func(x ctx, a adm) ([]admin.LinkedOrganisation, error) { return a.OrganisationLinks(x, "o") })),
		reads("sharing profiles", "/sharingProfile", `[{"name":"n","description":"d","autoShare":true,"editable":true,"permissionProfile":"analyst","taskRule":"manual","observableRule":"manual"}]`,
			[]admin.SharingProfile{{Name: "n", Description: "d", AutoShare: true, Editable: true, PermissionProfile: "analyst", TaskRule: "manual", ObservableRule: "manual"}},
			administers(func(x ctx, a adm) ([]admin.SharingProfile, error) { return a.SharingProfiles(x) })),
		reads("current licence", "/license/current", `{"license":`+licenseJSON+`}`, license, administers(func(x ctx, a adm) (admin.License, error) {
			l, _, err := a.CurrentLicense(x)
			return l, err
		})),
		reads("no licence", "/license/current", `{"notFound":true,"fallback":`+licenseJSON+`}`, false, administers(func(x ctx, a adm) (bool, error) {
			_, there, err := a.CurrentLicense(x)
			return there, err
		})),
		reads("licences", "/license", "["+licenseJSON+"]", []admin.License{license}, administers(func(x ctx, a adm) ([]admin.License, error) { return a.Licenses(x) })),
		does("add licence", "POST", "/license", `{"license":"text"}`, sets(func(x ctx, a adm) error { return a.AddLicense(x, "text") })),
		does("activate licence", "PUT", "/license/~7/activate", "", sets(func(x ctx, a adm) error { return a.ActivateLicense(x, "~7") })),
		reads("public status", "/status/public", `{"sso":true,"ssoProviders":[],"version":"5.5.13-1"}`, admin.PublicStatus{Version: "5.5.13-1", SSO: true},
			administers(func(x ctx, a adm) (admin.PublicStatus, error) { return a.PublicStatus(x) })),
	}
}

func templateEndpoints() []endpoint {
	type ctx = context.Context
	type adm = *admin.Admin
	field := admin.CustomField{ID: "~4", Name: "asset", DisplayName: "Asset", Group: "g", Description: "d", Type: admin.String, Options: []any{"a"}, Mandatory: true, CreatedAt: 1, CreatedBy: "s"}
	kind := admin.ObservableType{ID: "~5", Name: "jarm", IsAttachment: true}
	template := admin.CaseTemplate{ID: "~6", Name: "tpl", DisplayName: "Tpl", TitlePrefix: "[P]", Description: "d", Severity: 3, TLP: new(0), PAP: new(1), Flag: true, Tags: []string{"t"}, Summary: "s",
		CustomFields: []hive.CustomField{}, Tasks: []hive.Task{{ID: "~2", Title: "t", Group: "default", Status: "Waiting", Mandatory: true, Order: 3, DueDate: 4, CreatedAt: 1, CreatedBy: "a"}}, CreatedAt: 1, CreatedBy: "s"}
	page := hive.Page{ID: "~8", Title: "t", Content: "c", Order: 2, Category: "k", CreatedAt: 1, CreatedBy: "a"}
	return []endpoint{
		reads("custom fields in full", "/customField", "["+fieldJSON+"]", []admin.CustomField{field}, administers(func(x ctx, a adm) ([]admin.CustomField, error) { return a.CustomFields(x) })),
		makes("create custom field", "/customField", `{"name":"asset","displayName":"Asset","group":"g","description":"d","type":"string","mandatory":true,"options":["a"]}`, fieldJSON, field,
			administers(func(x ctx, a adm) (admin.CustomField, error) {
				return a.CreateCustomField(x, admin.NewCustomField{Name: "asset", DisplayName: "Asset", Group: "g", Description: "d", Type: admin.String, Mandatory: true, Options: []any{"a"}})
			})),
		does("update custom field", "PATCH", "/customField/asset", `{"displayName":"n","group":"h","description":"e","type":"integer","mandatory":false,"options":[]}`, sets(func(x ctx, a adm) error {
			return a.UpdateCustomField(x, "asset", admin.CustomFieldUpdate{DisplayName: new("n"), Group: new("h"), Description: new("e"), Type: new(admin.Integer), Mandatory: new(false), Options: []any{}})
		})),
		does("delete custom field", "DELETE", "/customField/asset", "", sets(func(x ctx, a adm) error { return a.DeleteCustomField(x, "asset", true) })),
		asks("observable types", listQuery("listObservableType", "100"), "["+typeJSON+"]", []admin.ObservableType{kind},
			administers(func(x ctx, a adm) ([]admin.ObservableType, error) { return collect(a.ObservableTypes(x, hive.Query{})) })),
		reads("observable type", "/observable/type/jarm", typeJSON, kind, administers(func(x ctx, a adm) (admin.ObservableType, error) { return a.ObservableType(x, "jarm") })),
		makes("create observable type", "/observable/type", `{"name":"jarm","isAttachment":true}`, typeJSON, kind,
			administers(func(x ctx, a adm) (admin.ObservableType, error) { return a.CreateObservableType(x, "jarm", true) })),
		does("delete observable type", "DELETE", "/observable/type/jarm", "", sets(func(x ctx, a adm) error { return a.DeleteObservableType(x, "jarm") })),
		asks("case templates in full", listQuery("listCaseTemplate", "100"), "["+templateJSON+"]", []admin.CaseTemplate{template},
			administers(func(x ctx, a adm) ([]admin.CaseTemplate, error) { return collect(a.CaseTemplates(x, hive.Query{})) })),
		reads("case template", "/caseTemplate/tpl", templateJSON, template, administers(func(x ctx, a adm) (admin.CaseTemplate, error) { return a.CaseTemplate(x, "tpl") })),
		makes("create case template", "/caseTemplate", `{"name":"tpl","displayName":"Tpl","titlePrefix":"[P]","description":"d","severity":3,"tlp":0,"pap":1,"flag":true,"tags":["t"],"summary":"s",
			"customFields":[{"name":"asset","value":"x"}],"tasks":[{"title":"t"}],"pageTemplateIds":["~8"],"pageTemplates":[{"title":"t","content":"c","category":"k"}]}`, templateJSON, template,
			administers(func(x ctx, a adm) (admin.CaseTemplate, error) {
				return a.CreateCaseTemplate(x, admin.NewCaseTemplate{Name: "tpl", DisplayName: "Tpl", TitlePrefix: "[P]", Description: "d", Severity: new(3), TLP: new(0), PAP: new(1), Flag: true,
					Tags: []string{"t"}, Summary: "s", CustomFields: []hive.CustomField{{Name: "asset", Value: "x"}}, Tasks: []hive.NewTask{{Title: "t"}}, PageTemplates: []string{"~8"},
					NewPages: []hive.NewPage{{Title: "t", Content: "c", Category: "k"}}})
			})),
		does("update case template", "PATCH", "/caseTemplate/tpl", `{"name":"n","displayName":"N","titlePrefix":"x","description":"d","summary":"s","severity":1,"tlp":1,"pap":1,"flag":false,"tags":[],"tasks":[],"customFields":[]}`,
			sets(func(x ctx, a adm) error {
				return a.UpdateCaseTemplate(x, "tpl", admin.CaseTemplateUpdate{Name: new("n"), DisplayName: new("N"), TitlePrefix: new("x"), Description: new("d"), Summary: new("s"), Severity: new(1),
					TLP: new(1), PAP: new(1), Flag: new(false), Tags: []string{}, Tasks: []hive.NewTask{}, CustomFields: []hive.CustomField{}})
			})),
		does("delete case template", "DELETE", "/caseTemplate/tpl", "", sets(func(x ctx, a adm) error { return a.DeleteCaseTemplate(x, "tpl") })),
		does("link page templates", "PUT", "/caseTemplate/tpl/pageTemplate/link", `{"pageTemplateIds":["~8"]}`, sets(func(x ctx, a adm) error { return a.LinkPageTemplates(x, "tpl", "~8") })),
		asks("page templates", listQuery("listPageTemplate", "100"), "["+pageJSON+"]", []hive.Page{page},
			administers(func(x ctx, a adm) ([]hive.Page, error) { return collect(a.PageTemplates(x, hive.Query{})) })),
		makes("create page template", "/pageTemplate", `{"title":"t","content":"c","category":"k"}`, pageJSON, page,
			administers(func(x ctx, a adm) (hive.Page, error) {
				return a.CreatePageTemplate(x, hive.NewPage{Title: "t", Content: "c", Category: "k"})
			})),
		does("update page template", "PATCH", "/pageTemplate/~8", `{"title":"n","content":"c","category":"k","order":1}`, sets(func(x ctx, a adm) error {
			return a.UpdatePageTemplate(x, "~8", hive.PageUpdate{Title: new("n"), Content: new("c"), Category: new("k"), Order: new(1)})
		})),
		does("delete page template", "DELETE", "/pageTemplate/~8", "", sets(func(x ctx, a adm) error { return a.DeletePageTemplate(x, "~8") })),
	}
}
