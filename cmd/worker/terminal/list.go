package terminal

// List has texts, each beside its name.
type List struct {
	indent int
	rows   []entry
}

type entry struct{ name, text text }

// NewList begins a list whose names begin at a column.
func NewList(indent int) *List { return &List{indent: indent} }

// Row adds a text. An empty name says that it belongs to the one before.
func (l *List) Row(name Span, texts ...Span) {
	l.rows = append(l.rows, entry{join([]Span{name}), join(texts)})
}

// leastBeside is how many columns of a terminal a text needs to stand beside its name; otherwise it goes on below it.
const leastBeside = 24

// List writes a list: names as wide as the widest, and on a terminal texts folded beside them.
func (s *Screen) List(l *List) {
	widest := 0
	for _, r := range l.rows {
		widest = max(widest, r.name.width())
	}
	beside := l.indent + widest + gap
	under := beside
	if s.columns > 0 && s.columns-beside < leastBeside {
		under = l.indent + gap
	}
	for _, r := range l.rows {
		line := r.name
		for pad := beside - l.indent - r.name.width(); pad > 0; pad-- {
			line.string += " "
		}
		line.runs = append(line.runs, run{len(line.string), Plain})
		for _, part := range r.text.runs {
			line.runs = append(line.runs, run{len(line.string) + part.end, part.meaning})
		}
		line.string += r.text.string
		s.lines(l.indent, under, line)
	}
}
