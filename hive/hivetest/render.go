package hivetest

import (
	"bytes"
	"encoding/json"
	"slices"
	"strconv"
	"strings"
	"time"
)

// viewer is who reads: some properties depend on it, and on what the server is.
type viewer struct {
	login       string
	org         string
	orgID       string
	profile     string
	permissions []string
	release     release // of the server
}

func (v viewer) may(permission string) bool {
	return permission == "" || slices.ContainsFunc(strings.Split(permission, "|"), func(p string) bool { return slices.Contains(v.permissions, p) })
}

// jsonObject writes a JSON object property by property; what is absent is left out, as TheHive does.
type jsonObject struct{ b []byte }

func (o *jsonObject) key(name string) {
	if o.b[len(o.b)-1] != '{' {
		o.b = append(o.b, ',')
	}
	o.b = append(append(append(o.b, '"'), name...), '"', ':')
}

func (o *jsonObject) text(name, v string) { o.key(name); o.b = appendText(o.b, v) }

func (o *jsonObject) num(name string, v int64) { o.key(name); o.b = strconv.AppendInt(o.b, v, 10) }

// any writes one of the values that a doc holds.
func (o *jsonObject) any(name string, v any) {
	o.key(name)
	switch v := v.(type) {
	case string:
		o.b = appendText(o.b, v)
	case int64:
		o.b = strconv.AppendInt(o.b, v, 10)
	case bool:
		o.b = strconv.AppendBool(o.b, v)
	case []string:
		o.texts(v)
	default:
		o.b = append(o.b, toJSON(v)...)
	}
}

func (o *jsonObject) texts(list []string) {
	o.b = append(o.b, '[')
	for i, s := range list {
		if i > 0 {
			o.b = append(o.b, ',')
		}
		o.b = appendText(o.b, s)
	}
	o.b = append(o.b, ']')
}

func appendText(b []byte, s string) []byte {
	for i := range len(s) {
		if c := s[i]; c < 0x20 || c == '"' || c == '\\' || c >= 0x7f {
			return append(b, toJSON(s)...)
		}
	}
	return append(append(append(b, '"'), s...), '"')
}

func toJSON(v any) []byte {
	b, err := json.Marshal(v)
	if err != nil {
		return []byte("null")
	}
	return b
}

// row is one entity of an answer with the extra data that was asked for.
type row struct {
	doc   *doc
	extra map[string]any
	links []nested // parents written inside, for audit documents
}

type nested struct {
	name string
	doc  *doc
}

// append writes the entity as TheHive's v1 API shows it.
func (r row) append(b []byte, v viewer, hidden []string) []byte {
	o := jsonObject{append(b, '{')}
	d := r.doc
	o.text("_id", d.entry.id)
	if d.kind.style != typeless {
		o.text("_type", d.kind.name)
	}
	iso := (d.kind == jobKind || d.kind == actionKind) && v.release.before(release{5, 6}) // until then their dates are texts
	d.stamps(&o, iso)
	for i, f := range d.kind.fields {
		if f.use&show != 0 && d.vals[i] != nil && !v.release.before(f.since) {
			if ms, is := d.vals[i].(int64); is && iso && f.shape == date {
				o.moment(f.name, ms, true)
				continue
			}
			o.field(f, d.vals[i], v)
		}
	}
	if d.kind.render != nil {
		d.kind.render(&o, d, v)
	}
	if !bare(d.kind) {
		extra := r.extra
		if extra == nil {
			extra = map[string]any{}
		}
		o.any("extraData", extra)
	}
	for _, l := range r.links {
		o.key(l.name)
		if l.doc == nil {
			o.b = append(o.b, "null"...)
			continue
		}
		o.b = row{doc: l.doc}.append(o.b, viewer{}, nil)
	}
	o.b = append(o.b, '}')
	if len(hidden) > 0 {
		return append(b, without(o.b[len(b):], hidden)...)
	}
	return o.b
}

// without leaves properties out of an object, whoever wrote them.
func without(object []byte, names []string) []byte {
	d := json.NewDecoder(bytes.NewReader(object))
	out := jsonObject{[]byte{'{'}}
	_, err := d.Token()
	for err == nil && d.More() {
		var name json.Token
		var value json.RawMessage
		if name, err = d.Token(); err == nil {
			err = d.Decode(&value)
		}
		if key, _ := name.(string); err == nil && !slices.Contains(names, key) {
			out.key(key)
			out.b = append(out.b, value...)
		}
	}
	return append(out.b, '}')
}

// bare kinds have no extraData in TheHive's OpenAPI 5.5.13.
func bare(k *kind) bool {
	return k == eventKind || k == profileKind || k == observableTypeKind || k == shareKind || k == jobKind || k == actionKind || k == auditKind
}

// moment writes a date in milliseconds, or as a text.
func (o *jsonObject) moment(name string, ms int64, iso bool) {
	if iso {
		o.text(name, time.UnixMilli(ms).UTC().Format(time.RFC3339Nano))
		return
	}
	o.num(name, ms)
}

func (d *doc) stamps(o *jsonObject, iso bool) {
	prefix := "_"
	if d.kind.style == plain {
		prefix = ""
	}
	o.text(prefix+"createdBy", d.by)
	o.moment(prefix+"createdAt", d.at, iso)
	if d.upAt != 0 {
		o.text(prefix+"updatedBy", d.upBy)
		o.moment(prefix+"updatedAt", d.upAt, iso)
	}
}

// field writes one property, and its label where TheHive adds one.
func (o *jsonObject) field(f field, value any, v viewer) {
	switch value := value.(type) {
	case *doc:
		o.key(f.name)
		o.b = row{doc: value}.append(o.b, v, nil)
		return
	case []*doc:
		o.key(f.name)
		o.b = appendRows(o.b, value, v)
		return
	}
	o.any(f.name, value)
	if labels, ok := labelsOf[f.name]; ok {
		if n, isInt := value.(int64); isInt && n >= 0 && int(n) < len(labels) {
			o.text(f.name+"Label", labels[n])
		}
	}
}

func appendRows(b []byte, docs []*doc, v viewer) []byte {
	b = append(b, '[')
	for i, d := range docs {
		if i > 0 {
			b = append(b, ',')
		}
		b = row{doc: d}.append(b, v, nil)
	}
	return append(b, ']')
}

var labelsOf = map[string][]string{
	"severity": {"", "LOW", "MEDIUM", "HIGH", "CRITICAL"},
	"tlp":      {"CLEAR", "GREEN", "AMBER", "AMBER+STRICT", "RED"},
	"pap":      {"CLEAR", "GREEN", "AMBER", "RED"},
}

func renderCase(o *jsonObject, d *doc, v viewer) {
	if v.permissions != nil {
		o.key("userPermissions")
		o.texts(permitted(v, d))
	}
	detect := d.num("newDate") - d.num("startDate")
	if d.isNote {
		detect = 0
	}
	o.num("timeToDetect", detect)
	intervals(o, d, "inProgressDate")
	if end := d.num("endDate"); end != 0 && d.text("stage") == "Closed" {
		o.num("timeToResolve", end-d.num("startDate"))
		if begun := d.num("inProgressDate"); begun != 0 {
			o.num("handlingDuration", end-begun)
		}
	}
}

func renderAlert(o *jsonObject, d *doc, _ viewer) {
	o.num("timeToDetect", d.num("newDate")-d.num("date")) // the same in the answer to its creation
	intervals(o, d, "inProgressDate")
}

func intervals(o *jsonObject, d *doc, step string) {
	if begun := d.num(step); begun != 0 {
		o.num("timeToTriage", begun-d.num("newDate"))
		start := d.num("startDate")
		if d.kind.name == "Alert" {
			start = d.num("date")
		}
		o.num("timeToAcknowledge", begun-start)
	}
}

func renderObservable(o *jsonObject, d *doc, _ viewer) {
	reports := d.get("reports")
	if reports == nil {
		reports = map[string]any{}
	}
	o.any("reports", reports)
}

func renderProcedure(o *jsonObject, d *doc, _ viewer) {
	if t := d.text("tactic"); t != "" {
		o.text("tacticLabel", tacticLabel(t))
	}
}

// tacticLabel turns "initial-access" into "Initial Access", as TheHive labels it.
func tacticLabel(tactic string) string {
	words := strings.Split(tactic, "-")
	for i, w := range words {
		if w != "" {
			words[i] = strings.ToUpper(w[:1]) + w[1:]
		}
	}
	return strings.Join(words, " ")
}
