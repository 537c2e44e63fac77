package rules

// Part is a literal part of a text, or the expression of a placeholder.
type Part struct {
	Literal, Expression string
	Line, Column        int
}

// Split takes a text apart.
func Split(source string) (parts []Part, err error) {
	all, wrong := split(source)
	for _, p := range all {
		parts = append(parts, Part{p.literal, p.expression, p.line, p.column})
	}
	if wrong != nil {
		return nil, wrong
	}
	return parts, nil
}
