package hivetest

import "slices"

// Deny takes rights from everybody in one case, and in what belongs to it, as a share with a smaller profile
// does: a call that needs one is answered 403 ("Operation not permitted", as TheHive 4 does), and the case's
// userPermissions do not name it. The case is an id or a number; without rights it is as before. The
// account's own permissions stay. It reports whether there is such a case.
func (h *Hive) Deny(idOrNumber string, rights ...string) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	e := h.store.byID[idOrNumber]
	if e == nil {
		e = h.store.byName[h.store.nameKey(caseKind, "", idOrNumber)]
	}
	if e == nil || e.doc.kind != caseKind {
		return false
	}
	e.denied.Store(slices.Clone(rights)) // answers are written without the lock
	return true
}

// denies refuses a call that needs a right which lacks in the case it names, or in that of what it names.
// The lock is held.
func (c *call) denies() error {
	if c.route.permission == "" || len(c.args) == 0 {
		return nil
	}
	e := c.h.store.byID[c.args[0]]
	if e == nil {
		e = c.h.store.lookup(caseKind, c.viewer.org, c.args[0])
	}
	if e == nil || !slices.Contains(e.root().lacks(), c.route.permission) {
		return nil
	}
	return notPermitted()
}

// permitted are the caller's rights in a case.
func permitted(v viewer, d *doc) []string {
	if d.entry == nil || len(d.entry.lacks()) == 0 {
		return v.permissions
	}
	return slices.DeleteFunc(slices.Clone(v.permissions), func(p string) bool { return slices.Contains(d.entry.lacks(), p) })
}

// lacks are the rights that were taken in a case.
func (e *entry) lacks() []string {
	rights, _ := e.denied.Load().([]string)
	return rights
}
