package detection

import (
	"encoding/base64"
	"encoding/hex"
	"slices"
	"strings"

	"forager/enrich/detection/canon"
	"forager/enrich/detection/formats"
	"forager/enrich/detection/tree"
)

func (e *event) tags() {
	for i := range e.format.Tags {
		rule := &e.format.Tags[i]
		if e.none(&rule.Path) {
			continue
		}
		e.scalars(&rule.Path, func(s string) bool {
			if rule.Reader != "list" {
				e.tag(rule.Prefix+s, rule.Path.Text)
				return true
			}
			for one := range splitTexts([]string{s}) {
				e.tag(rule.Prefix+strings.TrimSpace(one), rule.Path.Text)
			}
			return true
		})
	}
}

func (e *event) tag(s, path string) {
	s = canon.Line(s, 128)
	if s == "" || slices.Contains(e.det.Tags, s) {
		return
	}
	if len(e.det.Tags) >= e.limits.Tags {
		e.det.leaveOut("tags", 1)
		return
	}
	e.det.Tags = append(e.det.Tags, strings.Clone(s))
	e.note("tags", path, s)
}

// techniques collects references, paired with a tactic only where the event itself pairs them: by
// one object around both, or by naming one tactic alone.
func (e *event) techniques() {
	for i := range e.format.Techniques {
		t := &e.format.Techniques[i]
		if e.silent(t) || len(t.When) > 0 && !e.meets(t.When) {
			continue
		}
		if !t.Each.IsSet() {
			e.refer(t, func(p formats.Path) []string { return e.textsAt(p) }, "")
			continue
		}
		e.each(&t.Each, func(n int32) bool {
			e.refer(t, func(p formats.Path) []string { return e.textsBelow(n, p) }, t.Each.Text)
			return true
		})
	}
}

// silent tells quickly that a rule has nothing to read.
func (e *event) silent(t *formats.TechniqueRule) bool {
	if t.Each.IsSet() {
		return e.none(&t.Each)
	}
	for _, paths := range [][]formats.Path{t.Path, t.Else} {
		for i := range paths {
			if !e.none(&paths[i]) {
				return false
			}
		}
	}
	return true
}

// refer reads the references and the tactic of one scope.
func (e *event) refer(t *formats.TechniqueRule, texts func(formats.Path) []string, scope string) {
	var tactics []string
	for _, p := range t.Tactic {
		for s := range splitTexts(texts(p)) {
			if s = canon.Line(s, 128); s != "" && !slices.ContainsFunc(tactics, func(have string) bool { return tree.Fold(have) == tree.Fold(s) }) {
				tactics = append(tactics, s)
			}
		}
		if len(tactics) > 0 {
			break // the next path says the same in another way
		}
	}
	found := e.references(t, t.Path, texts, tactics, scope)
	if !found {
		e.references(t, t.Else, texts, tactics, scope)
	}
}

func (e *event) references(t *formats.TechniqueRule, paths []formats.Path, texts func(formats.Path) []string, tactics []string, scope string) bool {
	found := false
	for _, p := range paths {
		where := strings.TrimPrefix(scope+"."+p.Text, ".")
		var refs []Reference
		if t.Reader == "tags" {
			var named []string
			if refs, named = attackTags(texts(p)); len(tactics) == 0 {
				tactics = named
			}
		} else {
			for _, s := range texts(p) {
				refs = append(refs, Reference{Text: s})
			}
		}
		for _, r := range refs {
			found = true
			if r.Tactic == "" && len(tactics) == 1 {
				r.Tactic = tactics[0]
			}
			e.reference(Reference{Text: canon.Line(r.Text, e.limits.Text), Tactic: canon.Line(r.Tactic, 128), Path: where})
		}
	}
	return found
}

func (e *event) reference(r Reference) {
	if r.Text == "" {
		return
	}
	same := func(have Reference) bool { return have.Text == r.Text && (have.Tactic == r.Tactic || r.Tactic == "") }
	if slices.ContainsFunc(e.det.Techniques, same) {
		return
	}
	if len(e.det.Techniques) >= e.limits.Techniques {
		e.det.leaveOut("techniques", 1)
		return
	}
	r.Text, r.Tactic = strings.Clone(r.Text), strings.Clone(r.Tactic)
	e.det.Techniques = append(e.det.Techniques, r)
	e.note("techniques", r.Path, r.Text)
}

func (e *event) textsAt(p formats.Path) []string {
	var out []string
	e.scalars(&p, func(s string) bool { out = append(out, s); return len(out) < 4*e.limits.Techniques })
	return out
}

func (e *event) textsBelow(n int32, p formats.Path) []string {
	var out []string
	e.Under(n, p.Steps, false, func(v int32) bool {
		return e.Leaves(v, func(v int32) bool {
			if s := e.TextOf(v); e.Nodes[v].Kind != tree.Object && !canon.IsJunk(strings.TrimSpace(s)) {
				out = append(out, s)
			}
			return len(out) < 4*e.limits.Techniques
		})
	})
	return out
}

// splitTexts yields the members of texts that senders join: "Execution, Persistence".
func splitTexts(texts []string) func(func(string) bool) {
	return func(yield func(string) bool) {
		for _, s := range texts {
			for one := range strings.FieldsFuncSeq(s, func(r rune) bool { return strings.ContainsRune(",;|¦\n", r) }) {
				if !yield(one) {
					return
				}
			}
		}
	}
}

// attackTags tells references to techniques from names of tactics in free tags, as Sigma and Falco
// write them: "attack.t1059.001", "T1562-impair-defenses", "persistence__t1547.001",
// "attack.credential_access, attack.t1558", "mitre_execution". Other tags are neither.
func attackTags(tags []string) (refs []Reference, tactics []string) {
	for tag := range splitTexts(tags) {
		for one := range strings.FieldsSeq(tag) {
			lower := strings.ToLower(one)
			bare, sigma := strings.CutPrefix(lower, "attack.")
			if !sigma {
				bare, sigma = strings.CutPrefix(lower, "mitre_")
			}
			switch {
			case isTechnique(bare):
				refs = append(refs, Reference{Text: one})
			case isTechnique(vendorTag(lower)):
				refs = append(refs, Reference{Text: strings.ToUpper(vendorTag(lower))})
			case sigma && bare != "" && !isNumbered(bare) && !slices.Contains(tactics, bare):
				tactics = append(tactics, bare)
			default:
				if tactic, id, ok := strings.Cut(bare, "__"); ok && isTechnique(id) {
					refs = append(refs, Reference{Text: id, Tactic: tactic})
				}
			}
		}
	}
	return refs, tactics
}

// vendorTag is what stands behind the prefix by which a vendor marks a technique among its tags:
// "MITRE.T1071", "MITREV9.T1569.002" (Trend Micro), "@ATE.T1055" (Trellix).
func vendorTag(lower string) string {
	for _, prefix := range []string{"mitre.", "mitrev9.", "@ate."} {
		if bare, ok := strings.CutPrefix(lower, prefix); ok {
			return bare
		}
	}
	return ""
}

// isTechnique tells whether a lower-case tag starts with the id of a technique.
func isTechnique(s string) bool {
	return len(s) >= 5 && s[0] == 't' && canon.AllDigits(s[1:5]) && (len(s) == 5 || s[5] < '0' || s[5] > '9')
}

// isNumbered tells tags of groups, software and data sources (g0007, s0039, ds0017) apart.
func isNumbered(s string) bool {
	return canon.AllDigits(strings.TrimLeft(s, "abcdefghijklmnopqrstuvwxyz")) && s[len(s)-1] <= '9'
}

func (e *event) files() {
	for i := range e.format.Files {
		rule := &e.format.Files[i]
		e.each(&rule.Each, func(n int32) bool {
			if e.Nodes[n].Kind == tree.Object {
				e.file(rule, n)
			}
			return true
		})
	}
}

func (e *event) file(rule *formats.FileRule, n int32) {
	f := File{Name: canon.FileName(e.below(n, &rule.Name)), Object: canon.Line(e.below(n, &rule.Object), 1024)}
	if sum := strings.ToLower(strings.TrimSpace(e.below(n, &rule.SHA256))); len(sum) == 64 {
		if _, err := hex.DecodeString(sum); err == nil {
			f.SHA256 = sum
		}
	}
	content := e.below(n, &rule.Base64)
	if (content == "") == (f.Object == "") {
		e.det.leaveOut("unreadable files", 1)
		return
	}
	if content != "" {
		data, err := base64.StdEncoding.DecodeString(content)
		if err != nil || len(data) > e.limits.FileContent {
			e.det.leaveOut("unreadable files", 1)
			return
		}
		f.Data = data
	}
	if len(e.det.Files) >= e.limits.Files {
		e.det.leaveOut("files", 1)
		return
	}
	e.det.Files = append(e.det.Files, f)
}
