package enrich

import (
	"cmp"
	"net/netip"
	"regexp"
	"slices"
	"strings"
	"time"

	"forager/enrich/detection"
	"forager/enrich/detection/canon"
	"forager/enrich/rules"
	"forager/mitre"
)

// PlannerOptions are what a Planner needs; the zero value of a field means its default.
type PlannerOptions struct {
	Organisation string               // TheHive organisation; part of every key's hash
	Window       time.Duration        // how long after its last event a case takes more; negative is no limit (default 24 h)
	Closed       rules.ClosedPolicy   // default ClosedNew
	FullHosts    bool                 // hosts are told apart by their full names, not by the first label
	TLP, PAP     int                  // 0–4 and 0–3; negative is the default, 2
	NewCases     int                  // that one key may open in an hour of event time; negative is no limit (default 20)
	Objects      []ObjectRule         // which objects messages may name, besides their own (default: none)
	Zip          ZipPolicy            // which files go into an archive (default ZipNever)
	Catalogue    *mitre.Catalogue     // what technique references mean (default: the embedded one)
	Target       func() *mitre.Target // what the TheHive server knows now (default: the newest releases)
	Router       *rules.Router        // routes and silences (default: none)
	Raw          Raw                  // which events stand in the case (default RawFirst)
	Now          func() time.Time     // for the expiry of silences (default: time.Now)
}

// Planner turns detections into plans. It makes no call; the clock serves the expiry of silences
// alone. Safe for concurrent use.
type Planner struct {
	options PlannerOptions
}

// DefaultWindow is how long after its last event a case takes more events.
const DefaultWindow = 24 * time.Hour

// DefaultNewCases is how many cases one key may open in an hour of event time.
const DefaultNewCases = 20

// NewPlanner makes a planner.
func NewPlanner(o PlannerOptions) *Planner {
	switch {
	case o.Window == 0:
		o.Window = DefaultWindow
	case o.Window < 0:
		o.Window = 0
	}
	switch {
	case o.NewCases == 0:
		o.NewCases = DefaultNewCases
	case o.NewCases < 0:
		o.NewCases = 0
	}
	if o.Closed == "" {
		o.Closed = rules.ClosedNew
	}
	if o.TLP < 0 {
		o.TLP = 2
	}
	if o.PAP < 0 {
		o.PAP = 2
	}
	if o.Catalogue == nil {
		o.Catalogue = mitre.Embedded()
	}
	if o.Target == nil {
		newest := o.Catalogue.For(mitre.KnownRelease(""))
		o.Target = func() *mitre.Target { return newest }
	}
	if o.Raw == "" {
		o.Raw = RawFirst
	}
	if o.Router == nil {
		o.Router = &rules.Router{}
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	return &Planner{options: o}
}

// Plan decides what one detection asks of TheHive.
//
// With an error the plan says no more than which route decided, and what failed on the way.
// Errors: *DroppedError when a silence or a route says so; *MalformedError when there is nothing
// to correlate on.
func (p *Planner) Plan(d detection.Detection, o Origin) (Plan, error) {
	plan := p.start(d, o)
	p.files(&plan, d)
	p.techniques(&plan, d.Techniques)
	if err := p.route(&plan, d); err != nil {
		return Plan{Route: plan.Route, When: plan.When, Faults: plan.Faults}, err
	}
	plan.group()
	if plan.Key.Value == "" {
		return Plan{Route: plan.Route, When: plan.When, Faults: plan.Faults}, &MalformedError{Reason: "no correlation key", Detail: "neither key, host, user nor source address"}
	}
	if plan.Hash == "" {
		plan.Hash = plan.Key.Hash(plan.Organisation)
	}
	plan.waitBelow()
	return plan, nil
}

// start makes the plan that holds without any rule.
func (p *Planner) start(d detection.Detection, o Origin) Plan {
	key, _ := keyOf(d, p.options.FullHosts)
	said := d
	said.Tags, said.Observables, said.Techniques, said.Files, said.Why = nil, nil, nil, nil, nil // waiting plans have their own
	return Plan{
		Organisation: p.options.Organisation,
		Key:          key,
		At:           d.Time.UTC().Truncate(time.Millisecond),
		Window:       p.options.Window,
		Closed:       p.options.Closed,
		KeyCap:       p.options.NewCases,
		Origin:       o,
		Format:       d.Format,
		SourceID:     d.ID,
		Rule:         d.Rule,
		RuleHash:     ruleHash(d),
		Found:        Detector{Called: cmp.Or(d.Rule.Name, d.Title, d.Rule.ID), Format: d.Format},
		Day:          d.Time.UTC().Format(time.DateOnly),
		Severity:     severityOf(d),
		TLP:          p.options.TLP,
		PAP:          p.options.PAP,
		Title:        titleOf(d),
		Tags:         tagsOf(d),
		Observables:  observablesOf(d),
		Zip:          p.options.Zip,
		LeftOut:      d.LeftOut,
		said:         &said,
		raw:          p.options.Raw,
	}
}

// ruleHash names a rule in markers: by the sender's id, else its name, else the title.
func ruleHash(d detection.Detection) string {
	name := d.Rule.ID
	if name == "" {
		name = d.Rule.Name
	}
	if name == "" {
		name = d.Title
	}
	return ShortHash(d.Format, name)
}

func severityOf(d detection.Detection) int {
	if d.Severity < canon.Low || d.Severity > canon.Critical {
		return int(canon.Medium)
	}
	return int(d.Severity)
}

// titleOf says what happened, and where; a place that the words name already is not said twice.
func titleOf(d detection.Detection) string {
	title := cmp.Or(d.Title, d.Rule.Name, d.Format+" detection")
	where := placeOf(d, title)
	if where == "" {
		return oneLine(title)
	}
	return canon.Line(strings.TrimRight(title, ". "), rules.MaxTitle-len([]rune(where))) + where
}

// placeOf is the host of a detection, else the user, else the address, to follow a title that does not name it.
func placeOf(d detection.Detection, title string) string {
	if canon.FoldHost(d.Host, false) != "" {
		host := canon.Line(d.Host, maxPlace)
		if _, err := netip.ParseAddr(host); err != nil {
			host, _, _ = strings.Cut(host, ".")
		}
		return unlessSaid(title, " on ", host)
	}
	if user, _ := canon.FoldUser(d.User); user != "" {
		account := d.User[strings.LastIndexByte(d.User, '\\')+1:]
		account, _, _ = strings.Cut(account, "@")
		return unlessSaid(title, " for ", canon.Line(account, maxPlace))
	}
	return unlessSaid(title, " from ", canon.FoldIP(d.IP))
}

// maxPlace bounds the place in a title, in UTF-16 units.
const maxPlace = 63

// unlessSaid is a place with the word before it; empty where a title has it.
func unlessSaid(title, word, place string) string {
	if place == "" || strings.Contains(strings.ToLower(title), strings.ToLower(place)) {
		return ""
	}
	return word + place
}

// oneLine is a title: the headline of texts in Markdown.
func oneLine(title string) string {
	return canon.Clean(strings.ReplaceAll(title, "\n", " "), rules.MaxTitle)
}

// techniques resolves the references and maps them to what the server knows; what cannot become
// a procedure becomes a tag, so that it is never lost.
func (p *Planner) techniques(plan *Plan, refs []detection.Reference) {
	target := p.options.Target()
	held := map[string]bool{}
	for _, ref := range refs {
		if p.vendors(ref) {
			plan.addTechnique(Technique{Found: ref.Text, Note: noteVendor})
			continue
		}
		res := p.options.Catalogue.Resolve(ref.Text, mitre.Hint{Tactic: ref.Tactic})
		for _, id := range append(slices.Clone(res.IDs), res.Unknown...) {
			t := p.technique(target, ref, id, res.Note)
			if name := t.ID + "|" + t.Tactic; !held[name] || t.ID == "" {
				held[name] = true
				plan.addTechnique(t)
			}
		}
		if len(res.IDs)+len(res.Unknown) == 0 {
			plan.addTechnique(Technique{Found: ref.Text, Note: string(res.Reason)})
		}
	}
}

// noteVendor tells of a technique's name that is the vendor's own.
const noteVendor = "name of the vendor's own: its tactic is none of ATT&CK's"

// vendors tells whether a name of a technique is the vendor's, whatever ATT&CK calls so: it stands
// beside a tactic that is none of ATT&CK's ("Malicious File" under "Malware"). An id means itself.
func (p *Planner) vendors(ref detection.Reference) bool {
	if ref.Tactic == "" || techniqueID.MatchString(ref.Text) {
		return false
	}
	_, known := p.options.Catalogue.Tactic(ref.Tactic)
	return !known
}

// techniqueID is an id of ATT&CK anywhere in a text.
var techniqueID = regexp.MustCompile(`(?i)(^|[^a-z0-9])t[0-9]{4}`)

func (p *Planner) technique(target *mitre.Target, ref detection.Reference, id, note string) Technique {
	m := target.Map(id, ref.Tactic)
	t := Technique{
		Found: ref.Text, Reported: id, ID: m.ID, Name: m.Name, Tactic: m.Tactic, Note: note, Kind: m.Kind,
	}
	if m.Note != "" {
		t.Note = strings.TrimPrefix(note+"; "+m.Note, "; ")
	}
	return t
}

// addTechnique keeps what was found for explain; without an id of the server it is also a tag,
// unless the text names nothing at all.
func (p *Plan) addTechnique(t Technique) {
	p.Techniques = append(p.Techniques, t)
	if t.ID != "" {
		return
	}
	if tag := t.Tag(); tag != "" && !slices.Contains(p.Tags, tag) {
		p.Tags = append(p.Tags, tag)
	}
}

// Tag is what stands for a technique that the server does not hold: "attack:T1685", or the text
// as found where it names no technique; empty where it says nothing.
func (t Technique) Tag() string {
	if t.Reported != "" {
		return "attack:" + t.Reported
	}
	if t.Note == noteVendor {
		return "technique:" + canon.Clean(t.Found, rules.MaxTag)
	}
	switch mitre.Reason(t.Note) {
	case mitre.ReasonEmpty, mitre.ReasonPath:
		return ""
	default:
		return "attack:" + canon.Clean(t.Found, rules.MaxTag)
	}
}

// place says where the plan goes.
func (p Plan) place() string {
	at := " (tag " + TagPrefix + p.Hash + ") at " + p.At.Format(time.RFC3339)
	switch name := p.AlertName(0); {
	case p.AsAlert && p.ByEvent:
		return "alert " + name.Type + ";" + name.Source + ";" + name.Ref + at + p.capWords() + ", or the case that it became: " + p.Title
	case p.AsAlert:
		return "alert of the rule and " + p.Key.String() + at + ", window " + windowWords(p.Window) + ", or the case that it became, or a new one such as " +
			name.Type + ";" + name.Source + ";" + name.Ref + p.capWords() + ": " + p.Title
	default:
		return "case of " + p.Key.String() + at + ", window " + windowWords(p.Window) + ", or a new one" + p.capWords() + ": " + p.Title
	}
}

// ownerByAlert says who has a case that an alert becomes.
func (p Plan) ownerByAlert() string {
	switch p.Shape.Assignee {
	case "":
		return "assigned to Forager's account, as TheHive does it"
	case rules.Nobody:
		return "assigned to nobody"
	default:
		return "assigned to " + p.Shape.Assignee
	}
}

// analysisWords say what an analyzer is to look at.
func analysisWords(a rules.Analysis) string {
	of := "observables"
	if a.IOC {
		of = "indicators"
	}
	if len(a.Types) > 0 {
		of += " of type " + strings.Join(a.Types, ", ")
	}
	words := "analysis by " + a.Analyzer + ": " + of + " up to TLP " + cmp.Or(a.MaxTLP, "amber") + ", each " + a.Often()
	var does []string
	if a.Raise != "" {
		does = append(does, "raises the severity to "+a.Raise)
	}
	if a.MarkIOC {
		does = append(does, "marks the observable as an indicator")
	}
	if len(does) > 0 {
		from := "; what it calls malicious "
		if a.Level == "suspicious" {
			from = "; what it calls malicious or suspicious "
		}
		words += from + strings.Join(does, " and ") + ", once"
	}
	return words
}

// Steps says in words what the plan would do, for worker explain.
func (p Plan) Steps() []string {
	steps := append(p.waitSteps(), p.place())
	if p.ByAlert {
		steps = append(steps, "by alert: a new case is the alert forager/forager/"+p.Hash+"-… promoted with what follows, and "+p.ownerByAlert()+
			"; what a known case lacks is imported as an alert, where it has techniques or spares calls")
	}
	byType := map[string]int{}
	for _, o := range p.Observables {
		byType[o.DataType]++
	}
	for _, dataType := range sortedKeys(byType) {
		steps = append(steps, "observables of type "+dataType+": "+count(byType[dataType]))
	}
	for _, a := range p.Analyze {
		steps = append(steps, analysisWords(a))
	}
	for _, t := range p.Techniques {
		if t.ID != "" {
			steps = append(steps, strings.TrimSpace("procedure "+t.ID+" "+t.Tactic))
		}
	}
	for _, f := range p.Files {
		steps = append(steps, p.fileStep(f))
	}
	for _, f := range p.Barred {
		steps = append(steps, "file "+f.Name+", left out: "+p.WhyBarred(f))
	}
	steps = append(steps, "tags: "+strings.Join(p.Tags, ", "))
	return append(steps, "comment of rule "+p.RuleHash+" on "+p.Day+" (or named in the description)")
}
