package rollback

// Anchors are the sequences whose messages the next look compares.
func (w *Watch) Anchors() (all []uint64) {
	ends, _ := w.known()
	for _, e := range ends {
		all = append(all, e.Last)
	}
	return all
}
