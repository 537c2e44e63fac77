package metrics

import "forager/enrich/apply"

// What [Metrics.Received] is told of a request of TheHive's webhook.
const (
	DocumentStored     = "stored"
	DocumentStranger   = "wrong credentials"
	DocumentUnreadable = "no document"
	DocumentBroken     = "broken off"
	DocumentTooLarge   = "too large"
	DocumentUnstored   = "not stored" // the stream did not take it
)

// What [Metrics.Learnt] is told besides the effects of [apply.Applier.NoteAudit].
const (
	LearntNot       = "failed"      // the document is read again later
	LearntMalformed = "no document" // it is given up
)

// What [Metrics.SpansLost] is told.
const (
	LostQueue     = "queue full" // spans ended faster than the collector took them
	LostCollector = "collector"  // it did not answer, or refused
)

// Words that are shown as 0 from the start.
var (
	documentWords = []string{DocumentStored, DocumentStranger, DocumentUnreadable, DocumentBroken, DocumentTooLarge, DocumentUnstored}
	learntWords   = []string{
		string(apply.AuditNothing), string(apply.AuditOwnChange), string(apply.AuditRemoval), string(apply.AuditCaseDeleted),
		string(apply.AuditCaseMerged), string(apply.AuditResult), LearntNot, LearntMalformed,
	}
)

// Received counts a request of TheHive's webhook, by one of the Document words.
func (m *Metrics) Received(result string) { m.documents.WithLabelValues(m.reasons.fold(result)).Inc() }

// Learnt counts the reading of a stored document, by an effect of enrich or one of the Learnt words.
func (m *Metrics) Learnt(effect string) { m.learnt.WithLabelValues(m.reasons.fold(effect)).Inc() }

// DocumentsPending shows how many documents are stored and not yet learnt.
func (m *Metrics) DocumentsPending(n uint64) { m.documentsPending.Set(float64(n)) }

// SpansLost counts spans that did not reach the collector, by one of the Lost words.
func (m *Metrics) SpansLost(n int, reason string) {
	m.spansLost.WithLabelValues(m.reasons.fold(reason)).Add(float64(n))
}
