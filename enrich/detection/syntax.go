package detection

import "forager/enrich/detection/tree"

// Syntax tells, without any format, whether bytes can be read as a message at all. It never changes
// after [NewSyntax], and may be used by many goroutines.
type Syntax struct{ decoder Decoder }

// NewSyntax makes one that holds bytes to the same limits as a [Decoder] does; a field that is zero has its default.
func NewSyntax(l Limits) *Syntax {
	s := &Syntax{decoder: Decoder{limits: l.withDefaults()}}
	s.decoder.scratchs.New = func() any { return &scratch{Tree: tree.New(s.decoder.limits.tree())} }
	return s
}

// Check fails with the *[malformed.Error] that [Decoder.Decode] would fail with before it looks for
// a format: the body is neither JSON nor text that is read, or exceeds a limit. What passes may still be
// of a format that nobody knows, and what a part of a batch holds as text may still be broken.
func (s *Syntax) Check(body []byte) error {
	held, _ := s.decoder.scratchs.Get().(*scratch)
	defer s.decoder.release(held)
	u := unwrapper{Decoder: &s.decoder, scratch: held}
	_, _, err := u.parse(body)
	return err
}
