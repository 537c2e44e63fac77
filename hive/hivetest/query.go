package hivetest

import (
	"math/rand/v2"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// found is what a query holds between two operations: entities of one kind, or a number at its end.
type selection struct {
	kind    *kind
	entries []*entry
	listed  bool // straight from a list operation: the index may lag, and may serve the first filter
	sorted  bool
	rows    []row // set by page
	paged   bool
	total   int // for X-Total; -1: not asked for
	number  int
	counted bool
}

// runQuery evaluates POST /api/v1/query.
func runQuery(c *call) (reply, error) {
	ops, hide, err := c.queryBody()
	if err != nil {
		return reply{}, err
	}
	sel := selection{total: -1}
	for i, op := range ops {
		if sel.counted {
			return reply{}, unknownOp(op, []string{})
		}
		if i == 0 {
			err = c.start(&sel, op, ops[1:])
		} else {
			err = c.step(&sel, op)
		}
		if err != nil {
			return reply{}, err
		}
	}
	return c.answer(&sel, hide), nil
}

func (c *call) queryBody() ([]map[string]any, []string, error) {
	for name, v := range c.body {
		if name != "query" && name != "excludeFields" && !c.h.options.Lenient {
			return nil, nil, attributes([]attributeFault{{Type: "UnknownAttributeError", Name: name, Field: v}})
		}
	}
	list, ok := c.body["query"].([]any)
	if !ok || len(list) == 0 {
		return nil, nil, badRequest("Invalid query: an array of operations is expected")
	}
	ops := make([]map[string]any, len(list))
	for i, v := range list {
		if ops[i], ok = v.(map[string]any); !ok {
			return nil, nil, badRequest("Invalid query: an operation is an object")
		}
		if _, ok := ops[i]["_name"].(string); !ok {
			return nil, nil, missing("_name")
		}
	}
	hide := field{name: "excludeFields", shape: texts}
	if v, sent := c.body["excludeFields"]; sent {
		got, faults := hide.decodeTexts(v)
		if faults != nil {
			return nil, nil, attributes(faults)
		}
		return ops, got.([]string), nil
	}
	return ops, nil, nil
}

func (c *call) answer(sel *selection, hide []string) reply {
	if sel.counted {
		return reply{status: http.StatusOK, raw: strconv.AppendInt(nil, int64(sel.number), 10)}
	}
	out := reply{status: http.StatusOK, list: true, rows: sel.rows, hide: hide}
	if !sel.paged {
		out.rows = make([]row, len(sel.entries))
		for i, e := range c.order(sel) {
			out.rows[i] = row{doc: e.doc}
		}
	}
	if sel.total >= 0 {
		out.header = http.Header{"X-Total": {strconv.Itoa(sel.total)}}
	}
	return out
}

// order returns the entities as they are listed; who did not sort cannot count on any order.
func (c *call) order(sel *selection) []*entry {
	if !sel.sorted && c.h.fault.Load().Unordered {
		mixed := slices.Clone(sel.entries)
		rand.Shuffle(len(mixed), func(i, j int) { mixed[i], mixed[j] = mixed[j], mixed[i] })
		return mixed
	}
	return sel.entries
}

// start runs the first operation: listX or getX.
func (c *call) start(sel *selection, op map[string]any, rest []map[string]any) error {
	name := op["_name"].(string)
	if k, ok := kinds[strings.TrimPrefix(name, "list")]; ok && strings.HasPrefix(name, "list") {
		if err := c.only(op); err != nil {
			return err
		}
		sel.kind, sel.listed = k, true
		sel.entries = c.listed(k, rest)
		return nil
	}
	if k, ok := kinds[strings.TrimPrefix(name, "get")]; ok && strings.HasPrefix(name, "get") {
		if err := c.only(op, "idOrName"); err != nil {
			return err
		}
		id, ok := op["idOrName"].(string)
		if !ok {
			return missing("idOrName")
		}
		sel.kind = k
		if e := c.h.store.lookup(k, c.viewer.org, id); e != nil {
			sel.entries = []*entry{e}
		}
		return nil
	}
	if k, ok := kinds[strings.TrimPrefix(name, "count")]; ok && strings.HasPrefix(name, "count") {
		sel.counted, sel.number = true, len(c.listed(k, nil))
		return nil
	}
	return unknownOp(op, firstOps())
}

// listed returns the entities that a list starts from: all that the index knows, or those that its first filter can
// have meant.
func (c *call) listed(k *kind, rest []map[string]any) []*entry {
	s := c.h.store
	if len(rest) > 0 && rest[0]["_name"] == "filter" {
		if candidates, ok := c.candidates(k, rest[0]); ok {
			return slices.DeleteFunc(candidates, func(e *entry) bool { return !c.visible(e) })
		}
	}
	var out []*entry
	if series := s.byKind[k.name]; series != nil {
		out = make([]*entry, 0, series.live)
		for e := range series.each {
			if c.visible(e) {
				out = append(out, e)
			}
		}
	}
	return out
}

// visible says whether the caller's organisation sees the entity. Users, organisations and patterns are everybody's.
func (c *call) visible(e *entry) bool { return e.org == "" || e.org == c.viewer.org }

// only refuses parameters that an operation does not have.
func (c *call) only(op map[string]any, names ...string) error {
	if c.h.options.Lenient {
		return nil
	}
	for name, v := range op {
		if name != "_name" && !slices.Contains(names, name) {
			return attributes([]attributeFault{{Type: "UnknownAttributeError", Name: name, Field: v}})
		}
	}
	return nil
}

// step runs a further operation.
func (c *call) step(sel *selection, op map[string]any) error {
	if sel.paged {
		return unknownOp(op, nil)
	}
	switch name := op["_name"].(string); name {
	case "filter":
		return c.filter(sel, op)
	case "sort":
		return c.sort(sel, op)
	case "page":
		return c.page(sel, op)
	case "count", "limitedCount":
		sel.entries = c.known(sel)
		sel.counted, sel.number = true, len(sel.entries)
		return c.only(op)
	default:
		to, ok := steps[sel.kind.name][name]
		if !ok {
			return unknownOp(op, stepsOf(sel.kind))
		}
		if err := c.only(op); err != nil {
			return err
		}
		sel.entries = c.follow(c.known(sel), to)
		sel.kind, sel.listed, sel.sorted = to.kind, c.h.fault.Load().LagChildren, false
		return nil
	}
}

// known drops what the index does not show yet.
func (c *call) known(sel *selection) []*entry {
	if !sel.listed || c.h.fault.Load().Lag == 0 {
		return sel.entries
	}
	now := time.Now()
	return slices.DeleteFunc(slices.Clone(sel.entries), func(e *entry) bool { return e.indexed(now) == nil })
}

func (c *call) filter(sel *selection, op map[string]any) error {
	keep, err := c.compile(sel.kind, op, true)
	if err != nil {
		return err
	}
	lag, now := sel.listed && c.h.fault.Load().Lag > 0, time.Time{}
	if lag {
		now = time.Now()
	}
	out := make([]*entry, 0, min(len(sel.entries), 64))
	for _, e := range sel.entries {
		d := e.doc
		if lag {
			d = e.indexed(now)
		}
		if d != nil && keep(d) {
			out = append(out, e)
		}
	}
	sel.entries = out
	return nil
}

func unknownOp(op map[string]any, accepted []string) error {
	slices.Sort(accepted)
	return invalid("_name", op["_name"], "query name: "+strings.Join(accepted, ", "))
}

func firstOps() []string {
	out := make([]string, 0, 2*len(kinds))
	for name := range kinds {
		out = append(out, "list"+name, "get"+name)
	}
	return out
}
