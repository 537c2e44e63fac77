package detection

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"forager/enrich/detection/canon"
)

// Action is what becomes of an observable that a list holds.
type Action string

// The two actions: leave the observable out, or keep it without correlating on it.
const (
	ActionDrop             Action = "drop"
	ActionIgnoreSimilarity Action = "ignoreSimilarity"
)

// List is an allow-list in the format of the MISP warning lists: a JSON object of name, type
// (string, substring, hostname, cidr or regex), list, and matching_attributes.
type List struct {
	Name      string   // for messages; the file's name
	JSON      []byte   // content
	Action    Action   // what to do with a match
	DataTypes []string // TheHive's types that it is for; none: by matching_attributes, else all
}

// warningList is the part of MISP's format that matters here.
type warningList struct {
	Type       string   `json:"type"`
	Values     []string `json:"list"`
	Attributes []string `json:"matching_attributes"`
}

// matcher is a list made ready.
type matcher struct {
	action    Action
	types     []string
	exact     map[string]bool
	names     map[string]bool
	parts     []string
	patterns  []*regexp.Regexp
	prefixes  map[netip.Prefix]bool
	lengths4  []int // prefix lengths that occur, so that a look-up is one per length
	lengths16 []int
}

// attributeTypes maps MISP's attributes to TheHive's types.
var attributeTypes = map[string][]string{
	"ip-src": {"ip"}, "ip-dst": {"ip"}, "domain": {"domain", "fqdn"}, "hostname": {"hostname", "fqdn", "domain"},
	"domain|ip": {"domain", "fqdn", "ip"}, "ip-src|port": {"ip"}, "ip-dst|port": {"ip"}, "hostname|port": {"hostname", "fqdn"},
	"url": {"url"}, "uri": {"url", "uri_path"}, "link": {"url"}, "email": {"mail"}, "email-src": {"mail"}, "email-dst": {"mail"},
	"md5": {"hash"}, "sha1": {"hash"}, "sha224": {"hash"}, "sha256": {"hash"}, "sha384": {"hash"}, "sha512": {"hash"},
	"filename|md5": {"hash"}, "filename|sha1": {"hash"}, "filename|sha256": {"hash"}, "filename": {"filename"},
	"AS": {"autonomous-system"}, "user-agent": {"user-agent"}, "regkey": {"registry"}, "email-subject": {"mail-subject"},
}

func newMatcher(l List) (*matcher, error) {
	if l.Action != ActionDrop && l.Action != ActionIgnoreSimilarity {
		return nil, fmt.Errorf("list %s: action %q is neither %q nor %q", l.Name, l.Action, ActionDrop, ActionIgnoreSimilarity)
	}
	var w warningList
	if err := json.Unmarshal(l.JSON, &w); err != nil {
		return nil, fmt.Errorf("list %s: %w", l.Name, err)
	}
	m := &matcher{action: l.Action, types: slices.Clone(l.DataTypes)}
	if len(m.types) == 0 {
		for _, a := range w.Attributes {
			m.types = append(m.types, attributeTypes[a]...)
		}
	}
	if len(w.Values) == 0 {
		return nil, fmt.Errorf("list %s: list: no values", l.Name)
	}
	for i, v := range w.Values {
		if err := m.take(w.Type, strings.TrimSpace(v)); err != nil {
			return nil, fmt.Errorf("list %s: list[%d]: %w", l.Name, i, err)
		}
	}
	return m, nil
}

// take adds one value of a list.
func (m *matcher) take(kind, v string) error {
	if v == "" {
		return nil // MISP's own lists have empty lines
	}
	switch kind {
	case "string":
		put(&m.exact, strings.ToLower(v))
	case "hostname":
		put(&m.names, strings.Trim(strings.ToLower(v), "."))
	case "substring":
		m.parts = append(m.parts, strings.ToLower(v))
	case "regex":
		return m.takePattern(v)
	case "cidr":
		return m.takePrefix(v)
	default:
		return fmt.Errorf("type %q is none of string, substring, hostname, cidr, regex", kind)
	}
	return nil
}

func put(set *map[string]bool, v string) {
	if *set == nil {
		*set = map[string]bool{}
	}
	(*set)[v] = true
}

// takePattern takes "/…/i" as well as a bare expression.
func (m *matcher) takePattern(v string) error {
	if end := strings.LastIndexByte(v, '/'); end > 0 && v[0] == '/' {
		flags := v[end+1:]
		v = v[1:end]
		if strings.Trim(flags, "imsU") != "" {
			return fmt.Errorf("flags %q of a pattern", flags)
		}
		if flags != "" {
			v = "(?" + flags + ")" + v
		}
	}
	re, err := regexp.Compile(v)
	if err != nil {
		return err
	}
	m.patterns = append(m.patterns, re)
	return nil
}

func (m *matcher) takePrefix(v string) error {
	p, err := netip.ParsePrefix(v)
	if err != nil {
		a, err := netip.ParseAddr(v)
		if err != nil {
			return errors.New("neither an address nor a network")
		}
		p = netip.PrefixFrom(a, a.BitLen())
	}
	if m.prefixes == nil {
		m.prefixes = map[netip.Prefix]bool{}
	}
	p = p.Masked()
	m.prefixes[p] = true
	lengths := &m.lengths16
	if p.Addr().Is4() {
		lengths = &m.lengths4
	}
	if !slices.Contains(*lengths, p.Bits()) {
		*lengths = append(*lengths, p.Bits())
	}
	return nil
}

// matches tells whether the list holds a value.
func (m *matcher) matches(v canon.Value) bool {
	if len(m.types) > 0 && !slices.Contains(m.types, v.DataType) {
		return false
	}
	data := v.Data
	if m.exact != nil || m.parts != nil {
		data = strings.ToLower(data)
	}
	return m.exact[data] || m.names != nil && m.hasName(v) || v.Addr.IsValid() && m.hasAddr(v.Addr) ||
		slices.ContainsFunc(m.parts, func(part string) bool { return strings.Contains(data, part) }) ||
		slices.ContainsFunc(m.patterns, func(re *regexp.Regexp) bool { return re.MatchString(v.Data) })
}

// hasName looks a host, or that of a URL or mail, and what is above it, up.
func (m *matcher) hasName(v canon.Value) bool {
	name := v.Data
	switch v.DataType {
	case "url":
		u, err := url.Parse(name)
		if err != nil {
			return false
		}
		name = u.Hostname()
	case "mail":
		name = name[strings.LastIndexByte(name, '@')+1:]
	}
	for more := true; more; _, name, more = strings.Cut(name, ".") {
		if m.names[name] {
			return true
		}
	}
	return false
}

func (m *matcher) hasAddr(a netip.Addr) bool {
	lengths := m.lengths16
	if a.Is4() {
		lengths = m.lengths4
	}
	return slices.ContainsFunc(lengths, func(bits int) bool {
		p, err := a.Prefix(bits)
		return err == nil && m.prefixes[p]
	})
}
