package hivetest

import (
	"strings"
)

// get finds an entity that the caller may see, by id or by its natural name.
func (c *call) get(k *kind, idOrName string) (*entry, error) {
	if e := c.h.store.lookup(k, c.viewer.org, idOrName); e != nil {
		return e, nil
	}
	return nil, notFound("%s %s not found", k.name, idOrName)
}

func (s *store) lookup(k *kind, org, idOrName string) *entry {
	e := s.byID[idOrName]
	if e == nil && !strings.HasPrefix(idOrName, "~") {
		e = s.byName[s.nameKey(k, org, idOrName)]
	}
	if e == nil || e.doc.kind != k || e.org != "" && e.org != org {
		return nil
	}
	return e
}

// needs reads one property of the path as an entity and hands it on.
func needs(k *kind, run func(*call, *entry) (reply, error)) func(*call) (reply, error) {
	return func(c *call) (reply, error) {
		e, err := c.get(k, c.args[0])
		if err != nil {
			return reply{}, err
		}
		return run(c, e)
	}
}

// show answers one entity.
func show1(status int, d *doc) reply { return reply{status: status, one: &row{doc: d}} }

// done answers nothing, as TheHive does after a change.
func done() reply { return reply{status: 204} }

// stamp is the caller and the present moment.
func (c *call) stamp() stamp { return c.h.stamp(c.viewer.login) }

func (c *call) decode(k *kind, m mode) (map[string]any, error) {
	return k.decode(c.body, m, c.h.options.Lenient)
}

// child adds an entity below a case, alert or task, and marks the parents as touched.
func (c *call) child(k *kind, parent *entry, values map[string]any, st stamp) *entry {
	e := c.h.store.add(k, c.viewer.org, parent, values, st)
	c.h.store.touch(parent.root(), st)
	c.h.audit("create", e, st, c)
	return e
}

// update changes an entity, its parents' dates and the audit trail.
func (c *call) update(e *entry, values map[string]any) {
	st, former := c.stamp(), e.doc
	c.h.store.change(e, values, st)
	if e.parent != nil {
		c.h.store.touch(e.root(), st)
	}
	c.h.record(audit{action: "update", former: former}, e, st, c)
}

// remove deletes an entity and all below it.
func (c *call) remove(e *entry) {
	st := c.stamp()
	c.h.audit("delete", e, st, c)
	c.h.store.remove(e)
	c.h.store.recount(e.parent)
	if e.parent != nil && !e.parent.gone {
		c.h.store.touch(e.root(), st)
	}
}
