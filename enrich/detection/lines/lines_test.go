package lines

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// tree is what members say, as JSON would.
func tree(members []Member) map[string]any {
	if members == nil {
		return nil
	}
	out := map[string]any{}
	for _, m := range members {
		out[m.Name] = said(m)
	}
	return out
}

func said(m Member) any {
	switch m.Kind {
	case Object:
		return tree(m.Members)
	case List:
		var all []any
		for _, one := range m.Members {
			all = append(all, said(one))
		}
		return all
	}
	return m.Text
}

type object = map[string]any

func TestLinesOfProductsAreRead(t *testing.T) {
	for line, want := range map[string]object{
		"%ASA-4-106023: Deny udp src out:192.0.2.1/320 dst in:10.0.0.2/53": {"cisco": object{
			"product": "ASA", "level": "4", "id": "106023", "message": "Deny udp src out:192.0.2.1/320 dst in:10.0.0.2/53", "end": object{"src": "192.0.2.1", "dst": "10.0.0.2"}}},
		"x %FTD-session-1-430005: SrcIP: 192.0.2.1, FileName: a, b.zip, URI: http://a.example/x": {"cisco": object{
			"product": "FTD", "level": "1", "id": "430005", "message": "SrcIP: 192.0.2.1, FileName: a, b.zip, URI: http://a.example/x",
			"ext": object{"SrcIP": "192.0.2.1", "FileName": "a, b.zip", "URI": "http://a.example/x"}}},
		`CheckPoint 1 - [action:"Drop"; tag:"a[b=\]"; src:"192.0.2.1"]`:      {"checkpoint": object{"action": "Drop", "tag": "a[b=]", "src": "192.0.2.1"}},
		`1,2026/03/02 10:00:01,0267,SYSTEM,general,0,2026/03/02 10:00:00,,x`: {"pan": object{"received": "2026/03/02 10:00:01", "serial": "0267", "type": "SYSTEM", "subtype": "general", "generated": "2026/03/02 10:00:00"}},
		`1,2026/03/02 10:00:01,0267,THREAT,url,0,2026/03/02 10:00:00,10.0.0.1,192.0.2.1,,,"a ""b"", c"`: {"pan": object{
			"received": "2026/03/02 10:00:01", "serial": "0267", "type": "THREAT", "subtype": "url", "generated": "2026/03/02 10:00:00", "src": "10.0.0.1", "dst": "192.0.2.1", "rule": `a "b", c`}},
		"a [b] c": nil, "%ASA: x": nil, "": nil,
	} {
		if diff := cmp.Diff(want, tree(Read(line))); diff != "" {
			t.Errorf("%s\n%s", line, diff)
		}
	}
}

func TestNamesBeforeColonsAreRead(t *testing.T) {
	for text, want := range map[string]object{
		`Type: Virus\r\nName: EICAR\r\nUser: a\b`:                       {"Type": "Virus", "Name": "EICAR", "User": `a\b`},
		"Type: Virus\r\nName: EICAR\n more of it\nUser: x":              {"Type": "Virus", "Name": "EICAR\nmore of it", "User": "x"},
		`Virus found,Computer name: a,"Path: d, e",Risk name: f,g,No: `: {"text": "Virus found", "Computer name": "a", "Path": "d, e", "Risk name": "f, g", "No": ""},
		"Type: Virus, Name: EICAR":                                      nil,
		"one, two, three":                                               nil,
	} {
		if diff := cmp.Diff(want, tree(ReadColons(text))); diff != "" {
			t.Errorf("%q\n%s", text, diff)
		}
	}
}

func TestDocumentsAreRead(t *testing.T) {
	for text, want := range map[string]object{
		`<?xml version="1.0"?><a b="c" xmlns="x"><d>1</d><d>2</d><e/><f>t<g/></f></a> #015`: {"a": object{"b": "c", "d": []any{"1", "2"}, "e": "", "f": object{"g": "", "text": "t"}}},
		`<a>&lt;b&gt;&unknown;</a>`: {"a": "<b>&unknown;"},
		`<a><b></a>`:                nil,
		`<a>`:                       nil,
		strings.Repeat("<a>", MaxDepth+1) + strings.Repeat("</a>", MaxDepth+1): nil,
	} {
		if diff := cmp.Diff(want, tree(XML(text))); diff != "" {
			t.Errorf("%.80s\n%s", text, diff)
		}
	}
	for text, want := range map[string]int{
		"<a b=\"c\"></a>": 0, "<13>Mar  2 10:00:00 h app: <a></a>": 27, "CEF:0|V|P|1|s|n|5|msg=<script></script>": -1, "<13>x": -1, "no document": -1,
	} {
		if got := FindXML(text); got != want {
			t.Errorf("%q: at %d, want %d", text, got, want)
		}
	}
}
