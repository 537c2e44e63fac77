package prove

import (
	"fmt"
	"maps"
	"slices"
)

// droppedID is a detection that the journal calls dropped, and a case names.
type droppedID struct {
	sequence uint64
	id       string
	number   int
}

// judgeRecords judges dead letters and lines whose message is not in the stream. Those of messages that the stream does not
// have any more are right as far as anybody knows.
func (p *proof) judgeRecords() {
	for _, sequence := range slices.Sorted(maps.Keys(p.letters)) {
		for _, l := range p.letters[sequence] {
			if p.foreignRecord(sequence) {
				continue
			}
			if at, known := p.seen[sequence]; !known || !at.Equal(l.stored) {
				p.fault(Fault{Kind: LetterWithoutMessage, Sequence: sequence, What: fmt.Sprintf("dead letter %d is of a message that the stream does not have", l.number)})
			}
		}
	}
	for _, sequence := range slices.Sorted(maps.Keys(p.lines)) {
		for _, l := range p.lines[sequence] {
			if p.foreignRecord(sequence) {
				continue
			}
			if at, known := p.seen[sequence]; !known || !at.Equal(l.Stored) {
				p.fault(Fault{Kind: LineWithoutMessage, Sequence: sequence, What: "the journal has a line of a message that the stream does not have"})
			}
		}
	}
	for _, d := range p.dropped {
		if p.ids[d.id] == 1 {
			p.fault(Fault{Kind: LineContradicts, Sequence: d.sequence, Case: d.number, What: "the journal says dropped, and the case names " + d.id})
		}
	}
}

// foreignRecord tells whether a record is of a message that this proof did not read: older, or newer than its begin.
func (p *proof) foreignRecord(sequence uint64) bool {
	if _, known := p.seen[sequence]; known {
		return false
	}
	return sequence < p.place.first || !p.options.Since.IsZero()
}
