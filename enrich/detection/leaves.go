package detection

import "forager/enrich/detection/tree"

// Leaf is a text, number or boolean of an event, and the path by which a format file names it.
type Leaf struct{ Path, Text string }

// Leaves are those of each event in a body: for who writes a format for what nobody knows. Arrays, NDJSON and lines of text hold several
// events; lists within an event fan out, as in a format file; envelopes that are
// known as such (CloudEvents, EventBridge, …) are taken off. The error is that of [Syntax.Check].
func (s *Syntax) Leaves(body []byte) ([][]Leaf, error) {
	held, _ := s.decoder.scratchs.Get().(*scratch)
	defer s.decoder.release(held)
	u := unwrapper{Decoder: &s.decoder, scratch: held}
	root, _, err := u.parse(body)
	if err != nil {
		return nil, err
	}
	var all [][]Leaf
	return all, u.objects(root, func(n int32) {
		var leaves []Leaf
		u.leaves(n, "", &leaves)
		all = append(all, leaves)
	})
}

// objects finds the objects at n: itself, those of a list, those that lines of text make.
func (u *unwrapper) objects(n int32, found func(int32)) error {
	switch u.Nodes[n].Kind {
	case tree.Object:
		if inner := u.inEnvelope(n); inner != 0 {
			return u.objects(inner, found)
		}
		found(n)
	case tree.List:
		for c := u.Nodes[n].First; c != 0; c = u.Nodes[c].Next {
			if err := u.objects(c, found); err != nil {
				return err
			}
		}
	case tree.Text:
		inner, _, err := u.lines(u.TextOf(n), envelope{})
		if err != nil || inner == 0 {
			return err
		}
		return u.objects(inner, found)
	}
	return nil
}

// inEnvelope is what an envelope holds that nothing but an envelope looks like; 0: n is none.
func (u *unwrapper) inEnvelope(n int32) int32 {
	for i := range strict {
		if !u.fits(n, &strict[i]) {
			continue
		}
		for _, name := range strict[i].inner {
			if c := u.Child(n, name); c != 0 && u.Nodes[c].Kind >= tree.Text {
				return c
			}
		}
	}
	return 0
}

// leaves walks a value.
func (u *unwrapper) leaves(n int32, path string, into *[]Leaf) {
	switch node := &u.Nodes[n]; node.Kind {
	case tree.Object, tree.List:
		for c := node.First; c != 0; c = u.Nodes[c].Next {
			below := path
			if node.Kind == tree.Object {
				below = tree.Way(path, u.Nodes[c].Key)
			}
			u.leaves(c, below, into)
		}
	case tree.Null:
	default:
		*into = append(*into, Leaf{path, u.TextOf(n)})
	}
}
