package hivetest

var patternKind = newKind(kind{
	name: "Pattern", natural: "patternId",
	fields: []field{
		{name: "patternId", shape: text, use: show},
		{name: "name", shape: text, use: show},
		{name: "description", shape: text, use: show},
		{name: "tactics", shape: texts, use: show},
		{name: "url", shape: text, use: show},
		{name: "patternType", shape: text, use: show},
		{name: "revoked", shape: boolean, use: show},
		{name: "remoteSupport", shape: boolean, use: show},
		{name: "platforms", shape: texts, use: show},
		{name: "dataSources", shape: texts, use: show},
		{name: "version", shape: text, use: show},
	},
})

var userKind = newKind(kind{
	name: "User", natural: "login", style: typeless, render: renderUser,
	fields: []field{
		{name: "login", shape: text, lo: 3, hi: short, use: must | give | show},
		{name: "name", shape: text, lo: 1, hi: short, use: must | own},
		{name: "email", shape: text, lo: 3, hi: short, use: own | null},
		{name: "password", shape: text, lo: 1, hi: short, use: give},
		{name: "profile", shape: text, lo: 1, hi: 64, use: must | give | change},
		{name: "organisation", shape: text, lo: 1, hi: short, use: give | change},
		{name: "avatar", shape: text, use: give | change},
		{name: "type", shape: text, use: own, preset: "Normal"},
		{name: "locked", shape: boolean, use: change | show, preset: false},
		{name: "defaultOrganisation", shape: text, lo: 1, hi: short, use: change | show},
		{name: "hasKey", shape: boolean, use: show, preset: false},
		{name: "hasPassword", shape: boolean, use: show, preset: false},
		{name: "memberships", shape: refs},
	},
})

var organisationKind = newKind(kind{
	name: "Organisation", natural: "name",
	fields: []field{
		{name: "name", shape: text, lo: 1, hi: 64, use: must | own},
		{name: "description", shape: text, hi: long, use: must | own},
		{name: "taskRule", shape: text, lo: 1, hi: 64, use: own, preset: "manual"},
		{name: "observableRule", shape: text, lo: 1, hi: 64, use: own, preset: "manual"},
		{name: "locked", shape: boolean, use: own, preset: false},
		{name: "avatar", shape: text, use: change},
		{name: "links", shape: refs, use: show, preset: []any{}},
	},
})

var customFieldKind = newKind(kind{
	name: "CustomField", natural: "name",
	fields: []field{
		{name: "name", shape: text, lo: 1, hi: 64, use: must | give | show},
		{name: "displayName", shape: text, lo: 1, hi: 64, use: own},
		{name: "group", shape: text, lo: 1, hi: 64, use: must | own},
		{name: "description", shape: text, hi: long, use: must | own},
		{name: "type", shape: text, use: must | own},
		{name: "mandatory", shape: boolean, use: own, preset: false},
		{name: "options", shape: anyJSON, use: own, preset: []any{}},
	},
})

var profileKind = newKind(kind{
	name: "Profile", natural: "name",
	fields: []field{
		{name: "name", shape: text, lo: 1, hi: 64, use: must | own},
		{name: "permissions", shape: texts, lo: 1, hi: 32, use: own, preset: []string{}},
		{name: "editable", shape: boolean, use: show, preset: true},
		{name: "forAdmin", shape: boolean, use: show, preset: false},
		{name: "forOrg", shape: boolean, use: show, preset: true},
		{name: "consumesLicense", shape: boolean, use: show, preset: true},
	},
})

var observableTypeKind = newKind(kind{
	name: "ObservableType", natural: "name",
	fields: []field{
		{name: "name", shape: text, lo: 1, hi: 64, use: must | give | show},
		{name: "isAttachment", shape: boolean, use: give | show, preset: false},
	},
})

var caseTemplateKind = newKind(kind{
	name: "CaseTemplate", natural: "name", scoped: true,
	fields: []field{
		{name: "name", shape: text, lo: 1, hi: short, use: must | own},
		{name: "displayName", shape: text, lo: 1, hi: short, use: own},
		{name: "titlePrefix", shape: text, lo: 1, hi: 64, use: own | null},
		{name: "description", shape: text, hi: long, use: own | null},
		{name: "severity", shape: integer, lo: 1, hi: 4, use: own | null},
		tags, flagged,
		{name: "tlp", shape: integer, lo: 0, hi: 4, use: own | null},
		{name: "pap", shape: integer, lo: 0, hi: 3, use: own | null},
		{name: "summary", shape: text, hi: long, use: own | null},
		customs,
		{name: "tasks", shape: items, use: own, sub: taskKind},
		{name: "pageTemplateIds", shape: texts, use: give},
		{name: "pageTemplates", shape: items, use: give, sub: pageKind},
	},
})

var statusFields = []field{
	{name: "value", shape: text, lo: 1, hi: 64, use: must | give | show},
	{name: "stage", shape: text, use: must | give | show},
	{name: "order", shape: integer, use: own | null, preset: int64(0)},
	{name: "description", shape: text, hi: long, use: own | null},
	{name: "colour", shape: text, use: own | null, preset: "#000000"},
	{name: "hidden", shape: boolean, use: own, preset: false},
}

var (
	caseStatusKind  = newKind(kind{name: "CaseStatus", natural: "value", fields: statusFields})
	alertStatusKind = newKind(kind{name: "AlertStatus", natural: "value", fields: statusFields})
)

var catalogKind = newKind(kind{
	name: "Catalog", natural: "name", style: plain,
	fields: []field{
		{name: "name", shape: text, lo: 1, hi: short, use: must | own},
		{name: "description", shape: text, hi: long, use: own | null},
		{name: "variant", shape: text, lo: 1, hi: short, use: own | null},
	},
})

// kinds are all that a query can list, by the name that follows list and get.
var kinds = byName(
	caseKind, taskKind, logKind, pageKind, pageTemplateKind, commentKind, observableKind, procedureKind, alertKind,
	attachmentKind, eventKind, patternKind, userKind, organisationKind, customFieldKind, profileKind, observableTypeKind,
	caseTemplateKind, caseStatusKind, alertStatusKind, catalogKind,
)

func byName(all ...*kind) map[string]*kind {
	m := make(map[string]*kind, len(all))
	for _, k := range all {
		m[k.name] = k
	}
	return m
}
