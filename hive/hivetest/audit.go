package hivetest

// audit is one change, as TheHive's audit trail and its webhooks tell it.
type audit struct {
	action    string // create, update, delete, merge
	serial    int64
	at        int64
	by, org   string
	requestID string
	root      *doc // case or alert that it happened in; of a deleted case: none
	object    *doc // state after the change; of a deletion: before
}

const keptAudits = 10_000

// audit records a change. Called under the lock.
func (h *Hive) audit(action string, e *entry, st stamp, c *call) {
	if len(h.audits) >= 2*keptAudits {
		h.audits = append([]audit(nil), h.audits[keptAudits:]...)
	}
	h.store.next += 8
	h.audits = append(h.audits, audit{
		action: action, serial: h.store.next, at: st.ms, by: st.by, org: c.viewer.org,
		requestID: c.log.At.UTC().Format("150405.000000") + ":" + c.viewer.login, root: e.root().doc, object: e.doc,
	})
}
