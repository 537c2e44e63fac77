package hivetest

import "slices"

// permissionsOf are the built-in profiles of TheHive.
var permissionsOf = map[string][]string{
	"admin": {
		"managePlatform", "manageOrganisation", "manageProfile", "manageUser", "manageCustomField", "manageConfig",
		"manageObservableTemplate", "manageTaxonomy", "managePattern", "manageAnalyzerTemplate", "manageTag",
	},
	"org-admin": append([]string{
		"manageUser", "manageConfig", "manageCaseTemplate", "manageFunction/create",
	}, analystPermissions...),
	"analyst":   analystPermissions,
	"read-only": {},
}

var analystPermissions = []string{
	"manageCase/create", "manageCase/update", "manageCase/delete", "manageCase/merge", "manageCase/changeOwnership",
	"manageAlert/create", "manageAlert/update", "manageAlert/delete", "manageAlert/import", "manageObservable",
	"manageTask", "manageProcedure", "managePage", "manageComment", "manageCustomEvent", "manageShare", "manageAnalyse",
	"manageAction", "manageFunction/invoke", "manageTag", "manageKnowledgeBase", "accessTheHiveFS",
}

var statusesOf = map[string][][2]string{
	"CaseStatus": {
		{"New", "New"}, {"InProgress", "InProgress"}, {"Indeterminate", "Closed"}, {"FalsePositive", "Closed"},
		{"TruePositive", "Closed"}, {"Other", "Closed"}, {"Duplicated", "Closed"},
	},
	"AlertStatus": {
		{"New", "New"}, {"InProgress", "InProgress"}, {"Pending", "InProgress"}, {"Ignored", "Closed"},
		{"Duplicate", "Closed"}, {"FalsePositive", "Closed"}, {"Imported", "Imported"},
	},
}

var dataTypes = []string{
	"url", "other", "user-agent", "regexp", "mail-subject", "registry", "mail", "autonomous-system", "domain", "ip",
	"uri_path", "filename", "hash", "file", "fqdn", "hostname",
}

// found makes the store of a server that was just installed.
func (h *Hive) found() *store {
	s, st := newStore(), h.stamp(systemUser)
	s.refuseUnknown = h.options.RefuseUnknownFields
	st.lag = 0
	for name, list := range permissionsOf {
		s.add(profileKind, "", nil, map[string]any{
			"name": name, "permissions": slices.Clone(list), "editable": name == "analyst" || name == "read-only",
			"forAdmin": name == "admin", "forOrg": name != "admin", "consumesLicense": name != "read-only",
		}, st)
	}
	for _, name := range dataTypes {
		s.add(observableTypeKind, "", nil, map[string]any{"name": name, "isAttachment": name == "file"}, st)
	}
	for kind, list := range statusesOf {
		for i, v := range list {
			s.add(kinds[kind], "", nil, map[string]any{
				"value": v[0], "stage": v[1], "order": int64(i), "colour": "#000000", "hidden": false,
			}, st)
		}
	}
	s.add(catalogKind, "", nil, map[string]any{"name": "Enterprise Attack"}, st)
	for _, p := range h.options.Patterns {
		s.pattern(p, st)
	}
	h.people(s, st)
	return s
}

func (h *Hive) people(s *store, st stamp) {
	members := make([]Membership, 0, len(h.options.Organisations)+1)
	for _, name := range append(slices.Clone(h.options.Organisations), adminOrganisation) {
		if s.byName[s.nameKey(organisationKind, "", name)] != nil {
			continue
		}
		s.add(organisationKind, "", nil, map[string]any{
			"name": name, "description": name, "taskRule": "manual", "observableRule": "manual", "locked": false,
			"links": []any{},
		}, st)
		profile := "org-admin"
		if name == adminOrganisation {
			profile = "admin"
		}
		members = append(members, Membership{name, profile})
	}
	s.enrol(User{
		Login: DefaultUser, Name: "Default admin user", Password: DefaultPassword, APIKey: h.options.APIKey, Memberships: members,
	}, st)
	for _, u := range h.options.Users {
		s.enrol(u, st)
	}
}

// enrol adds an account; memberships in organisations that do not exist are left out.
func (s *store) enrol(u User, st stamp) *entry {
	var members []member
	for _, m := range u.Memberships {
		if org := s.byName[s.nameKey(organisationKind, "", m.Organisation)]; org != nil {
			members = append(members, member{
				org: org.id, name: m.Organisation, profile: m.Profile, permissions: s.permissions(m.Profile), preset: len(members) == 0,
			})
		}
	}
	e := s.add(userKind, "", nil, map[string]any{
		"login": u.Login, "name": or(u.Name, u.Login), "type": "Normal", "locked": false, "memberships": members,
		"hasKey": u.APIKey != "", "hasPassword": u.Password != "",
	}, st)
	s.setPassword(u.Login, u.Password)
	s.setKey(u.Login, u.APIKey)
	return e
}

func (s *store) pattern(p Pattern, st stamp) {
	s.add(patternKind, "", nil, map[string]any{
		"patternId": p.ID, "name": p.Name, "tactics": slices.Clone(p.Tactics), "patternType": "attack-pattern",
		"url":     "https://attack.mitre.org/techniques/" + p.ID,
		"revoked": p.Revoked, "remoteSupport": false, "platforms": []string{}, "dataSources": []string{},
	}, st)
}
