package draft

import (
	"fmt"
	"math"
	"net/netip"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"forager/enrich/detection"
	"forager/enrich/detection/canon"
)

// everyday are names that many products have: by them alone no format is recognised.
var everyday = folded(`id uuid time timestamp @timestamp date host hostname user username message msg type title name severity level source src dst dest data event events alert alerts
	rule status category tags labels description action version url ip details detail result results created updated count score risk priority device agent file process network attributes fields properties
	content payload body log metadata meta info kind state source_ip dest_ip src_ip dst_ip`)

// Of writes a format file of a name from the leaves of samples. Its text ends with a line.
func Of(name string, events [][]detection.Leaf) string {
	d := drafting{name: name, events: len(events)}
	d.columns, d.packed = gather(events)
	fmt.Fprintf(&d.out, "# unsure: the product, and its version\nformat: %s\norder: 900\n", name)
	d.recognise()
	if len(d.packed) > 0 {
		var paths []string
		for _, p := range d.packed {
			paths = append(paths, quoted(p))
		}
		fmt.Fprintf(&d.out, "parse: {json: [%s]}\n", strings.Join(paths, ", "))
	}
	d.fields()
	d.observables()
	d.techniques()
	return d.out.String()
}

type drafting struct {
	out     strings.Builder
	name    string
	columns []*column
	packed  []string // paths of texts that hold JSON
	events  int
}

// recognise names what all samples have and few others would.
func (d *drafting) recognise() {
	var names []string
	for _, c := range d.columns {
		top, _, _ := strings.Cut(c.path, ".")
		if c.events == d.events && !slices.Contains(names, top) {
			names = append(names, top)
		}
	}
	rare := func(n string) int {
		if slices.Contains(everyday, folded(n)[0]) {
			return 0
		}
		return len(n)
	}
	slices.SortStableFunc(names, func(a, b string) int { return rare(b) - rare(a) })
	if len(names) == 0 {
		return
	}
	var conditions []string
	for _, n := range names[:min(3, len(names))] {
		conditions = append(conditions, "{path: "+quoted(n)+"}")
	}
	fmt.Fprintf(&d.out, "recognise:\n  # unsure: do only alerts of this product have all of these? begin with the rarest\n  - [%s]\n", strings.Join(conditions, ", "))
}

// fields writes what a detection consists of.
func (d *drafting) fields() {
	ids := choose(d.columns, idNames, 1, func(c *column) bool {
		return c.events == d.events && len(c.values) == d.events && c.each(func(s string) bool { return len(s) >= 4 })
	})
	if len(ids) > 0 {
		fmt.Fprintf(&d.out, "# unsure: is it another for each alert, and the same when one is sent again?\nid: [[%s]]\n", quoted(ids[0].path))
	}
	times := d.list("time", timeNames, 3, func(c *column) bool { return c.each(isTime) })
	if !times {
		d.out.WriteString("# unsure: no time was found; that of the message is taken\n")
	}
	d.severity()
	titled := d.list("title", titles, 3, func(c *column) bool {
		return c.some(isWord) && !c.some(func(s string) bool { return strings.Contains(s, "://") })
	})
	if !titled {
		fmt.Fprintf(&d.out, "# unsure: no title was found\ntitle: [{text: %q}]\n", "alert of "+d.name)
	}
	d.list("description", wanted{names: folded("description long_description details detail message msg full_log summary")}, 2, func(c *column) bool { return c.some(isWord) })
	d.host()
	d.list("user", userNames, 2, func(c *column) bool { return c.some(isWord) })
	var from []string
	for _, c := range d.columns {
		if k, _ := c.kind(); k == "ip" && c.direction() != "dst" && len(from) < 2 {
			from = append(from, quoted(c.path))
		}
	}
	if len(from) > 0 {
		fmt.Fprintf(&d.out, "ip: [%s]\n", strings.Join(from, ", "))
	}
	if rule := choose(d.columns, ruleIDs, 1, func(*column) bool { return true }); len(rule) > 0 {
		fmt.Fprintf(&d.out, "rule: {id: [%s]}\n", quoted(rule[0].path))
	}
	d.list("link", linkNames, 1, func(c *column) bool { return c.each(func(s string) bool { return strings.HasPrefix(s, "http") }) })
	if cmd := choose(d.columns, cmdNames, 1, func(c *column) bool { return c.some(isWord) }); len(cmd) > 0 {
		fmt.Fprintf(&d.out, "happened: {commandLine: [%s]}\n", quoted(cmd[0].path))
	}
}

// hosts are the columns that may name the host: those of what handed the alert on come last.
func (d *drafting) hosts() []*column {
	all := choose(d.columns, hostNames, 8, (*column).isHosts)
	slices.SortStableFunc(all, func(a, b *column) int { return one(relay.MatchString(a.whole)) - one(relay.MatchString(b.whole)) })
	return all[:min(4, len(all))]
}

func one(yes bool) int {
	if yes {
		return 1
	}
	return 0
}

// host writes what names the host; where nothing but a relay does, addresses of ours come before it.
func (d *drafting) host() {
	var paths, relays []string
	for _, c := range d.hosts() {
		p := quoted(c.path)
		switch {
		case c.some(portOf.MatchString):
			p = "{path: " + p + `, until: ":"}`
		case c.some(domainUser.MatchString):
			p = quoted(c.path)
		}
		if relay.MatchString(c.whole) {
			relays = append(relays, p)
		} else {
			paths = append(paths, p)
		}
	}
	if len(paths) == 0 {
		for _, way := range []string{"dst", "src", ""} {
			for _, c := range d.columns {
				if k, _ := c.kind(); k == "ip" && c.direction() == way && c.some(isOurs) && len(paths) < 2 {
					paths = append(paths, quoted(c.path))
				}
			}
		}
		if len(paths) > 0 {
			d.out.WriteString("# unsure: no name of a host was found, but addresses of private networks\n")
		}
	}
	if paths = append(paths, relays...); len(paths) > 0 {
		fmt.Fprintf(&d.out, "host: [%s]\n", strings.Join(paths, ", "))
	}
}

// isOurs tells whether a text is an address of a private network.
func isOurs(s string) bool {
	a, err := netip.ParseAddr(s)
	return err == nil && a.IsPrivate()
}

// list writes a field with the columns that fit; it tells whether there is one.
func (d *drafting) list(field string, names wanted, most int, fits func(*column) bool) bool {
	var paths []string
	for _, c := range choose(d.columns, names, most, fits) {
		paths = append(paths, quoted(c.path))
	}
	if len(paths) > 0 {
		fmt.Fprintf(&d.out, "%s: [%s]\n", field, strings.Join(paths, ", "))
	}
	return len(paths) > 0
}

// severity writes the best columns that may be one, words before numbers; of numbers the scale is guessed.
func (d *drafting) severity() {
	found := choose(d.columns, sevNames, 4, func(c *column) bool { return c.each(isScale) && !relay.MatchString(c.whole) })
	if len(found) == 0 {
		d.out.WriteString("# unsure: no severity was found\ndefaultSeverity: medium\n")
		return
	}
	slices.SortStableFunc(found, func(a, b *column) int { return one(b.some(isRisk)) - one(a.some(isRisk)) })
	d.out.WriteString("severity:\n")
	for _, c := range found {
		most, words, malice, numbers, parts := 0.0, false, false, false, false
		for _, s := range c.values {
			n, err := strconv.ParseFloat(s, 64)
			numbers, words = numbers || err == nil, words || err != nil
			malice = malice || level(s) == "malicious" || level(s) == "suspicious"
			most, parts = max(most, n), parts || n != math.Trunc(n)
		}
		switch {
		case malice:
			fmt.Fprintf(&d.out, "  - {path: %s, words: {malicious: high, suspicious: medium, n/a: low}}\n", quoted(c.path))
		case words:
			fmt.Fprintf(&d.out, "  - {path: %s}\n", quoted(c.path))
		}
		if numbers {
			switch {
			case strings.HasPrefix(c.whole, "cef"), strings.HasPrefix(c.whole, "leef"):
				most = max(most, 10) // by their definitions, as OCSF's
			case c.name == "severityid":
				most = max(most, 5)
			case !parts:
				most = max(most, 2)
			}
			fmt.Fprintf(&d.out, "  # unsure: how far does the scale go, and is the highest the worst?\n  - {path: %s, bands: %s}\n", quoted(c.path), bandsTo(most))
		}
	}
	d.out.WriteString("defaultSeverity: medium\n")
}

func bandsTo(most float64) string {
	switch {
	case most <= 1:
		return "{0: low, 0.4: medium, 0.7: high, 0.9: critical}"
	case most <= 4:
		return "{0: low, 2: medium, 3: high, 4: critical}"
	case most <= 5:
		return "{0: low, 3: medium, 4: high, 5: critical}"
	case most <= 10:
		return "{0: low, 4: medium, 7: high, 9: critical}"
	case most <= 16:
		return "{0: low, 7: medium, 12: high, 15: critical}"
	default:
		return "{0: low, 40: medium, 70: high, 90: critical}"
	}
}

// observables writes a rule for each kind and direction.
func (d *drafting) observables() {
	type group struct{ kind, tag string }
	paths := map[group][]string{}
	var order []group
	hosts := d.hosts()
	for _, c := range d.columns {
		kind, sure := c.kind()
		if slices.Contains(hosts, c) {
			kind, sure = "host", true
		}
		if kind == "" {
			continue
		}
		g := group{kind, c.direction()}
		if slices.Contains(hosts, c) {
			g.tag = "host"
		}
		if !sure {
			g.tag += "?"
		}
		if paths[g] == nil {
			order = append(order, g)
		}
		paths[g] = append(paths[g], quoted(c.path))
	}
	if len(order) == 0 {
		return
	}
	d.out.WriteString("observables:\n")
	d.joined()
	for _, g := range order {
		tag, unsure := strings.CutSuffix(g.tag, "?")
		if unsure {
			d.out.WriteString("  # unsure: not all of the samples have such a value there\n")
		}
		what := "type: " + g.kind
		if g.kind == "hashes" || g.kind == "tuple" {
			what = "reader: " + g.kind
		}
		if tag != "" {
			tag = ", tags: [" + tag + "]"
		}
		fmt.Fprintf(&d.out, "  - {%s, path: [%s]%s}\n", what, strings.Join(paths[g], ", "), tag)
	}
}

// joined writes files whose folder and name are apart.
func (d *drafting) joined() {
	for _, folder := range d.columns {
		if !strings.HasSuffix(folder.name, "path") && folder.name != "folder" && folder.name != "directory" {
			continue
		}
		parent := above(folder.path)
		stem := strings.TrimSuffix(strings.TrimSuffix(folder.name, "path"), "folder")
		for _, name := range d.columns {
			if above(name.path) != parent || name == folder || name.name != stem+"name" && (name.name != "filename" || stem != "" && stem != "file") {
				continue
			}
			if !folder.some(drivePath.MatchString) && !folder.some(func(s string) bool { return strings.HasPrefix(s, `\`) }) || folder.some(endsInName(name)) {
				continue
			}
			fmt.Fprintf(&d.out, "  - {type: filename, each: %s, join: [%s, %s], sep: \\}\n", quoted(parent), quoted(folder.last), quoted(name.last))
		}
	}
}

// endsInName tells whether a path has the name of its file already.
func endsInName(name *column) func(string) bool {
	return func(path string) bool {
		return name.some(func(n string) bool { return n != "" && strings.HasSuffix(strings.ToLower(path), strings.ToLower(n)) })
	}
}

// above is a path without its last name.
func above(path string) string { return path[:max(strings.LastIndexByte(path, '.'), 0)] }

// techniques writes the columns that hold techniques of ATT&CK.
func (d *drafting) techniques() {
	var ids, tags []string
	for _, c := range d.columns {
		switch {
		case c.each(func(s string) bool { return technique.MatchString(s) || canon.IsJunk(s) }) && c.some(technique.MatchString):
			ids = append(ids, quoted(c.path))
		case c.some(technique.MatchString):
			tags = append(tags, quoted(c.path))
		}
	}
	if len(ids)+len(tags) == 0 {
		return
	}
	d.out.WriteString("techniques:\n")
	if len(ids) > 0 {
		fmt.Fprintf(&d.out, "  - {path: [%s]}\n", strings.Join(ids, ", "))
	}
	if len(tags) > 0 {
		fmt.Fprintf(&d.out, "  - {path: [%s], reader: tags}\n", strings.Join(tags, ", "))
	}
}

// quoted writes a path as YAML takes it.
func quoted(path string) string {
	if plainPath.MatchString(path) && !slices.Contains([]string{"yes", "no", "on", "off", "true", "false", "null", "y", "n"}, strings.ToLower(path)) {
		return path
	}
	return strconv.Quote(path)
}

// plainPath is one that needs no quotation marks.
var plainPath = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_.-]*$`)
