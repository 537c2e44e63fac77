package hivetest

import (
	"encoding/json"
	"slices"
	"strconv"
	"strings"
	"unicode/utf16"
)

// shapeOf is the form of a value on the wire.
type shapeOf int

const (
	text    shapeOf = iota // string
	integer                // whole number
	date                   // whole number, milliseconds since 1970
	boolean                // true or false
	texts                  // array of strings
	custom                 // custom fields: array of {name, value, order} or object
	object                 // JSON object, kept as it is
	items                  // array of objects of another kind
	anyJSON                // whatever was sent
	refs                   // array of attachments or memberships, made by the server
)

// use says where a field may appear.
type use int

const (
	give   use = 1 << iota // allowed at creation
	must                   // needed at creation
	change                 // allowed in an update
	null                   // may be cleared in an update
	show                   // part of the answer
)

const (
	own   = give | change | show // the ordinary field
	short = 128                  // TheHive's limit for names and tags, in characters
	long  = 1 << 20              // TheHive's limit for descriptions and messages, in characters
)

// field is one property of a kind: its name, form, limits (characters, or the smallest and largest number) and use.
type field struct {
	name   string
	shape  shapeOf
	lo, hi int64
	use    use
	preset any     // value when absent at creation; nil: stays absent
	sub    *kind   // kind of the elements of items
	since  release // the first that has it
}

// kind describes one entity of TheHive's API: what may be sent, what is answered, what may be searched.
type kind struct {
	name    string // as in listCase, getCase and _type
	listed  string // as in listJob, where that differs
	natural string // field that names it in a path beside its id
	scoped  bool   // natural names are unique per organisation, not per server
	style   style
	indexed []string // fields that a query finds without looking at every entity
	fields  []field
	slots   map[string]int
	render  func(o *jsonObject, d *doc, v viewer)
}

// style is how the common fields are written: TheHive has three ways.
type style int

const (
	underscored style = iota // _id, _type, _createdBy …
	typeless                 // the same without _type
	plain                    // _id, _type, createdBy …
)

func (k *kind) slot(name string) (int, bool) {
	i, ok := k.slots[name]
	return i, ok
}

func newKind(k kind) *kind {
	k.slots = make(map[string]int, len(k.fields))
	for i, f := range k.fields {
		k.slots[f.name] = i
	}
	return &k
}

// terms are on what bodies are taken: by which release, and whether what it does not know is passed over.
type terms struct {
	lenient bool
	at      release
}

// mode is the kind of request that a body belongs to.
type mode int

const (
	creating mode = iota
	updating
	overriding // creation where everything may be left out (a case made from an alert)
)

// decode checks a body against the kind and returns its values in normal form; a nil value clears the field.
func (k *kind) decode(body map[string]any, m mode, t terms) (map[string]any, error) {
	values := make(map[string]any, len(body)+4)
	var faults []attributeFault
	for name, v := range body {
		i, known := k.slot(name)
		if !known || !k.fields[i].allowed(m) || t.at.before(k.fields[i].since) {
			if !t.lenient {
				faults = append(faults, attributeFault{Type: "UnknownAttributeError", Name: name, Field: v})
			}
			continue
		}
		f := k.fields[i]
		if v == nil {
			if m == updating && f.use&null == 0 {
				faults = append(faults, f.invalid(nil))
			} else if m == updating {
				values[name] = nil
			}
			continue
		}
		got, fs := f.decode(v, t)
		faults = append(faults, fs...)
		if len(fs) == 0 {
			values[name] = got
		}
	}
	if m == creating {
		faults = append(faults, k.complete(body, values)...)
	}
	if len(faults) > 0 {
		return nil, attributes(faults)
	}
	return values, nil
}

// complete reports what is missing and fills in the defaults.
func (k *kind) complete(body, values map[string]any) []attributeFault {
	var faults []attributeFault
	for _, f := range k.fields {
		if v, sent := body[f.name]; sent && v != nil {
			continue
		}
		if f.use&must != 0 {
			faults = append(faults, attributeFault{Type: "MissingAttributeError", Name: f.name})
		} else if f.preset != nil {
			values[f.name] = f.preset
		}
	}
	return faults
}

func (f field) allowed(m mode) bool {
	if m == updating {
		return f.use&change != 0
	}
	return f.use&(give|must) != 0
}

func (f field) decode(v any, t terms) (any, []attributeFault) {
	switch f.shape {
	case text:
		s, ok := v.(string)
		return s, f.check(ok && f.fits(s), v)
	case integer, date:
		n, ok := whole(v)
		return n, f.check(ok && (f.hi == 0 || n >= f.lo && n <= f.hi), v)
	case boolean:
		b, ok := v.(bool)
		return b, f.check(ok, v)
	case texts:
		return f.decodeTexts(v)
	case custom:
		return f.decodeCustom(v)
	case object:
		m, ok := v.(map[string]any)
		return m, f.check(ok, v)
	case items:
		return f.decodeItems(v, t)
	case anyJSON, refs:
		return v, nil
	}
	return nil, f.check(false, v)
}

func (f field) fits(s string) bool {
	n := int64(units(s))
	return n >= f.lo && (f.hi == 0 || n <= f.hi)
}

func (f field) check(ok bool, v any) []attributeFault {
	if ok {
		return nil
	}
	return []attributeFault{f.invalid(v)}
}

func (f field) decodeTexts(v any) (any, []attributeFault) {
	list, ok := v.([]any)
	if !ok {
		return nil, f.check(false, v)
	}
	out := make([]string, 0, len(list))
	for i, e := range list {
		s, ok := e.(string)
		if !ok || !f.fits(s) {
			bad := f
			bad.name += "[" + strconv.Itoa(i) + "]"
			return nil, bad.check(false, e)
		}
		if !slices.Contains(out, s) {
			out = append(out, s)
		}
	}
	return out, nil
}

// customInput is one custom field as it was sent; order is -1 where none was given.
type customInput struct {
	name  string
	value any
	order int64
	named bool // in an object, not in an array
}

func (f field) decodeCustom(v any) (any, []attributeFault) {
	var out []customInput
	switch list := v.(type) {
	case map[string]any:
		for name, value := range list {
			out = append(out, customInput{name, value, -1, true})
		}
		slices.SortFunc(out, func(a, b customInput) int { return strings.Compare(a.name, b.name) })
		return out, nil
	case []any:
		for _, e := range list {
			in, ok := oneCustom(e)
			if !ok {
				return nil, f.check(false, e)
			}
			out = append(out, in)
		}
		return out, nil
	}
	return nil, f.check(false, v)
}

func oneCustom(v any) (customInput, bool) {
	m, ok := v.(map[string]any)
	in := customInput{order: -1}
	in.name, _ = m["name"].(string)
	var has bool
	in.value, has = m["value"]
	for name, v := range m {
		switch name {
		case "name", "value":
		case "order":
			in.order, ok = whole(v)
		default:
			return in, false
		}
	}
	return in, ok && has && in.name != ""
}

func (f field) decodeItems(v any, t terms) (any, []attributeFault) {
	list, ok := v.([]any)
	if !ok {
		return nil, f.check(false, v)
	}
	out := make([]map[string]any, 0, len(list))
	for _, e := range list {
		m, ok := e.(map[string]any)
		if !ok {
			return nil, f.check(false, e)
		}
		values, err := f.sub.decode(m, creating, t)
		if p, bad := err.(*problem); bad { //nolint:errorlint // decode returns nothing else
			return nil, p.Errors
		}
		out = append(out, values)
	}
	return out, nil
}

func (f field) invalid(v any) attributeFault {
	return attributeFault{Type: "InvalidFormatAttributeError", Name: f.name, Format: f.shape.String(), Field: v}
}

// String names the form as TheHive's messages do.
func (s shapeOf) String() string {
	return [...]string{"string", "int", "date", "boolean", "string[]", "customField", "object", "object[]", "json", "object[]"}[s]
}

func whole(v any) (int64, bool) {
	n, ok := v.(json.Number)
	if !ok {
		return 0, false
	}
	i, err := strconv.ParseInt(n.String(), 10, 64)
	return i, err == nil
}

// units is the length of a text as TheHive's runtime counts it: in UTF-16 code units.
func units(s string) int { return len(utf16.Encode([]rune(s))) }

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
	outside  = field{name: "external", shape: boolean, use: own, preset: false, since: release{5, 6}}
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
		{name: "sharedWith", shape: texts}, // names of organisations
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
		outside,
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
		{name: "external", shape: boolean, use: change | show, preset: false, since: release{5, 6}},
		{name: "sharedWith", shape: texts}, // names of organisations
		{name: "reports", shape: object},   // what analyzers said, by their names
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
		{name: "externalLink", shape: text, lo: 1, hi: 4096, use: own | null}, // 512 before 5.7: see checkAlert
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
		{name: "external", shape: boolean, use: change | show, preset: false, since: release{5, 6}},
		{name: "twin", shape: text}, // its name, where a name makes another file
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
