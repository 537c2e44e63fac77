package hivetest

// The kinds follow the Input… and Output… schemas of TheHive's OpenAPI 5.5.13, names, limits and required properties.

var (
	severity = field{name: "severity", shape: integer, lo: 1, hi: 4, use: own, preset: int64(2)}
	tlp      = field{name: "tlp", shape: integer, lo: 0, hi: 4, use: own, preset: int64(2)}
	pap      = field{name: "pap", shape: integer, lo: 0, hi: 3, use: own, preset: int64(2)}
	tags     = field{name: "tags", shape: texts, lo: 1, hi: short, use: own, preset: []string{}}
	addTags  = field{name: "addTags", shape: texts, lo: 1, hi: short, use: change}
	dropTags = field{name: "removeTags", shape: texts, lo: 1, hi: short, use: change}
	flagged  = field{name: "flag", shape: boolean, use: own, preset: false}
	title    = field{name: "title", shape: text, lo: 1, hi: 512, use: must | own}
	describe = field{name: "description", shape: text, hi: long, use: must | own}
	summary  = field{name: "summary", shape: text, hi: long, use: own | null}
	assignee = field{name: "assignee", shape: text, lo: 1, hi: short, use: own | null}
	customs  = field{name: "customFields", shape: custom, use: own, preset: []customInput{}}
	taskRule = field{name: "taskRule", shape: text, lo: 1, hi: short, use: give | change}
	obsRule  = field{name: "observableRule", shape: text, lo: 1, hi: short, use: give | change}
	shared   = field{name: "sharingParameters", shape: anyJSON, use: give}
	newTasks = field{name: "tasks", shape: items, use: give, sub: taskKind}
	newPages = field{name: "pages", shape: items, use: give, sub: pageKind}
)

func shown(shape shapeOf, names ...string) []field {
	out := make([]field, len(names))
	for i, n := range names {
		out[i] = field{name: n, shape: shape, use: show}
	}
	return out
}

var caseKind = newKind(kind{
	name: "Case", natural: "number", indexed: []string{"tags"}, render: renderCase,
	fields: append([]field{
		{name: "number", shape: integer, use: show},
		title, describe, severity,
		{name: "startDate", shape: date, use: own},
		{name: "endDate", shape: date, use: own | null},
		tags, flagged, tlp, pap,
		{name: "status", shape: text, lo: 1, hi: 64, use: own, preset: "New"},
		{name: "stage", shape: text, use: show},
		summary,
		{name: "impactStatus", shape: text, lo: 1, hi: short, use: change | show | null},
		assignee,
		{name: "access", shape: object, use: give | show, preset: map[string]any{"_kind": "OrganisationAccessKind"}},
		customs,
		{name: "caseTemplate", shape: text, lo: 1, hi: short, use: give},
		newTasks, newPages, shared, taskRule, obsRule, addTags, dropTags,
		{name: "linked", shape: refs},
	}, shown(date, "newDate", "inProgressDate", "closedDate", "alertDate", "alertNewDate", "alertInProgressDate", "alertImportedDate")...),
})

var taskKind = newKind(kind{
	name: "Task",
	fields: []field{
		{name: "title", shape: text, lo: 1, hi: short, use: must | own},
		{name: "group", shape: text, lo: 1, hi: 64, use: own, preset: "default"},
		{name: "description", shape: text, hi: long, use: own | null},
		{name: "status", shape: text, lo: 1, hi: 16, use: own, preset: "Waiting"},
		flagged,
		{name: "startDate", shape: date, use: own | null},
		{name: "endDate", shape: date, use: own},
		assignee,
		{name: "order", shape: integer, use: own, preset: int64(0)},
		{name: "dueDate", shape: date, use: own | null},
		{name: "mandatory", shape: boolean, use: own, preset: false},
		{name: "actionRequired", shape: object},
	},
})

var logKind = newKind(kind{
	name: "Log",
	fields: []field{
		{name: "message", shape: text, hi: long, use: must | own},
		{name: "date", shape: date, use: show},
		{name: "startDate", shape: date, use: give},
		{name: "owner", shape: text, use: show},
		{name: "includeInTimeline", shape: date, use: own | null},
		{name: "attachments", shape: refs, use: give | show},
	},
})

var pageKind = newKind(kind{
	name: "Page",
	fields: []field{
		title,
		{name: "content", shape: text, hi: long, use: must | own},
		{name: "order", shape: integer, use: own, preset: int64(0)},
		{name: "category", shape: text, lo: 1, hi: short, use: must | own},
	},
})

var pageTemplateKind = newKind(kind{name: "PageTemplate", scoped: true, fields: pageKind.fields})

var commentKind = newKind(kind{
	name: "Comment", style: plain,
	fields: []field{
		{name: "message", shape: text, hi: long, use: must | own},
		{name: "isEdited", shape: boolean, use: show},
	},
})

var observableKind = newKind(kind{
	name: "Observable", indexed: []string{"data"}, render: renderObservable,
	fields: []field{
		{name: "dataType", shape: text, lo: 1, hi: 64, use: must | own},
		{name: "data", shape: anyJSON, use: give | show},
		{name: "attachment", shape: anyJSON, use: give | show},
		{name: "startDate", shape: date, use: give | show},
		tlp, pap, tags,
		{name: "ioc", shape: boolean, use: own, preset: false},
		{name: "sighted", shape: boolean, use: own, preset: false},
		{name: "sightedAt", shape: date, use: own | null},
		{name: "message", shape: text, hi: long, use: own | null},
		{name: "ignoreSimilarity", shape: boolean, use: own, preset: false},
		{name: "isZip", shape: boolean, use: give},
		{name: "zipPassword", shape: text, lo: 1, hi: 512, use: give},
		addTags, dropTags,
	},
})

var procedureKind = newKind(kind{
	name: "Procedure", style: typeless, indexed: []string{"patternId"}, render: renderProcedure,
	fields: []field{
		{name: "patternId", shape: text, lo: 1, hi: short, use: must | own},
		{name: "patternName", shape: text, use: show},
		{name: "occurDate", shape: date, use: must | own},
		{name: "tactic", shape: text, lo: 1, hi: 32, use: own},
		{name: "description", shape: text, hi: long, use: own},
	},
})

var alertKind = newKind(kind{
	name: "Alert", natural: "sourceRef", indexed: []string{"tags", "sourceRef"}, render: renderAlert,
	fields: append([]field{
		{name: "type", shape: text, lo: 1, hi: 32, use: must | own},
		{name: "source", shape: text, lo: 1, hi: 32, use: must | own},
		{name: "sourceRef", shape: text, lo: 1, hi: short, use: must | own},
		{name: "externalLink", shape: text, lo: 1, hi: 512, use: own | null},
		title, describe, severity,
		{name: "date", shape: date, use: own},
		{name: "lastSyncDate", shape: date, use: change},
		tags, tlp, pap,
		{name: "flag", shape: boolean, use: give},
		{name: "follow", shape: boolean, use: change | show},
		customs,
		{name: "caseTemplate", shape: text, lo: 1, hi: short, use: give | show},
		{name: "observables", shape: items, use: give, sub: observableKind},
		{name: "procedures", shape: items, use: give, sub: procedureKind},
		{name: "observableCount", shape: integer, use: show, preset: int64(0)},
		{name: "caseId", shape: text, use: show},
		{name: "status", shape: text, lo: 1, hi: 64, use: own, preset: "New"},
		{name: "stage", shape: text, use: show},
		assignee, summary, addTags, dropTags,
	}, shown(date, "newDate", "inProgressDate", "closedDate", "importedDate")...),
})

var attachmentKind = newKind(kind{
	name: "Attachment", natural: "id",
	fields: []field{
		{name: "name", shape: text, lo: 1, hi: short, use: show},
		{name: "hashes", shape: texts, use: show},
		{name: "size", shape: integer, use: show},
		{name: "contentType", shape: text, use: show},
		{name: "id", shape: text, use: show},
		{name: "path", shape: text, use: show},
	},
})

var eventKind = newKind(kind{
	name: "CustomEvent",
	fields: []field{
		{name: "date", shape: date, use: must | own},
		{name: "endDate", shape: date, use: own | null},
		{name: "title", shape: text, lo: 1, hi: short, use: must | own},
		{name: "description", shape: text, hi: long, use: own | null},
	},
})
