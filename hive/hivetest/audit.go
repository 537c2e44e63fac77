package hivetest

import "fmt"

// audit is one change, as TheHive's audit trail and its webhooks tell it.
type audit struct {
	action     string // create, update, delete, merge
	serial     int64
	at         int64
	by         string
	org, orgID string
	requestID  string
	main       bool   // the first change of its request
	root       *doc   // what it happened in: a case, an alert, or the object itself
	parent     *doc   // directly above the object; nil: none
	object     *doc   // state after the change; of a deletion: before
	former     *doc   // of an update: state before
	sources    []*doc // of a merge: what is gone
}

const keptAudits = 10_000

// audit records a change. Called under the lock.
func (h *Hive) audit(action string, e *entry, st stamp, c *call) {
	h.record(audit{action: action}, e, st, c)
}

// record completes what is known of a change, keeps it, and hands it to the webhooks. Called under the lock.
func (h *Hive) record(a audit, e *entry, st stamp, c *call) {
	if len(h.audits) >= 2*keptAudits {
		h.audits = append([]audit(nil), h.audits[keptAudits:]...)
	}
	h.store.next += 8
	a.serial, a.at, a.by, a.org, a.orgID = h.store.next, st.ms, st.by, c.viewer.org, c.viewer.orgID
	a.requestID = fmt.Sprintf("5f0d3a17b2c94e86:%x:%d", uint32(st.ms), c.log.Seq)
	a.main = len(h.audits) == 0 || h.audits[len(h.audits)-1].requestID != a.requestID
	a.root, a.object = e.root().doc, e.doc
	if e.parent != nil {
		a.parent = e.parent.doc
	}
	h.audits = append(h.audits, a)
	h.hooked.post(a)
}

// Documents renders the audit documents of all changes that are still remembered (the newest 10 000 at least), oldest
// first, as a webhook of that version (0 or 1) gets them.
func (h *Hive) Documents(version int) [][]byte {
	h.mu.RLock()
	all := h.audits
	h.mu.RUnlock()
	documents := make([][]byte, 0, len(all))
	for _, a := range all {
		documents = append(documents, a.document(version))
	}
	return documents
}
