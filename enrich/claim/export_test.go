package claim

// Rewrite reads an entry of which some fields are known, gives it a body, and writes it again.
func Rewrite(value []byte, known []string, body any) ([]byte, error) {
	e, err := parseEntry(value, known)
	if err != nil {
		return nil, err
	}
	if e, err = e.with(body); err != nil {
		return nil, err
	}
	return e.encode()
}

// Len is how many names are remembered.
func (c *Contention) Len() int { return c.keys.Len() }

// MostRemembered bounds them.
const MostRemembered = mostRemembered

// SessionOf is the key of the session that a claim relies on.
func SessionOf(c *Claim) string { return SessionPrefix + c.session.id }
