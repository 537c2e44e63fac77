package apply

import (
	"maps"
	"slices"

	"forager/enrich"
)

// absorb counts the plans of one rule and day that are new to a comment, each source id once: as
// long as the comment's list has room, what it does not name is new. Beyond, the stream decides: what
// it numbers above the highest counted of it. Streams have nothing to do with each other, and a
// requeued message has a new number though it was counted; so the count is "at least".
func (c *commentRef) absorb(plans []enrich.Plan, m marker) (changed bool) {
	before, now := maps.Clone(c.Sequences), map[string]bool{}
	for _, p := range plans {
		if commentKey(p) != m.name() || now[p.SourceID] || c.counted(p, before) {
			continue
		}
		now[p.SourceID] = true
		c.count(p)
		changed = true
	}
	return changed
}

// counted tells whether a comment surely or probably counts a plan's detection; before is what it
// knew of streams before the messages at hand, of which one may hold many detections.
func (c *commentRef) counted(p enrich.Plan, before map[string]uint64) bool {
	switch {
	case slices.Contains(c.IDs, markerID(p.SourceID)):
		return true
	case len(c.IDs) < maxIDs:
		return false
	case p.Origin.Sequence == 0:
		return false
	case p.Origin.Requeued:
		return true
	}
	highest, known := before[p.Origin.Stream]
	if !known && len(before) == 0 {
		highest = c.Seq
	}
	return p.Origin.Sequence <= highest
}

func (c *commentRef) count(p enrich.Plan) {
	at := p.At.UnixMilli()
	if c.N == 0 || at < c.First {
		c.First = at
	}
	c.Last = max(c.Last, at)
	c.N++
	if id := markerID(p.SourceID); len(c.IDs) < maxIDs && !slices.Contains(c.IDs, id) {
		c.IDs = append(c.IDs, id)
	}
	c.follow(p.Origin)
}

// maxStreams is of how many streams a comment remembers the highest sequence.
const maxStreams = 8

// follow notes how far a stream was counted.
func (c *commentRef) follow(o enrich.Origin) {
	if o.Sequence == 0 {
		return
	}
	if _, known := c.Sequences[o.Stream]; !known && len(c.Sequences) >= maxStreams {
		return
	}
	if c.Sequences == nil {
		c.Sequences = map[string]uint64{}
	}
	c.Sequences[o.Stream] = max(c.Sequences[o.Stream], o.Sequence)
}
