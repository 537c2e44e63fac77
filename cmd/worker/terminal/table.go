package terminal

import (
	"math"
	"slices"
	"strings"
)

// Column is a column of a table. Unless it says that its texts may be cut or folded, they are whole, as names are that
// commands take.
type Column struct {
	Name  string
	Right bool // its texts end below each other, as numbers do
	Spare bool // left out where a terminal is too narrow, the last such column first
	Cut   bool // its texts are cut where a terminal is too narrow
	Fold  bool // its texts take several lines there
}

// Table has columns, and rows. Without any name it has no line of names.
type Table struct {
	columns []Column
	rows    [][]text
}

// NewTable begins a table.
func NewTable(columns ...Column) *Table { return &Table{columns: columns} }

// Row adds a row. What is missing at its end is empty.
func (t *Table) Row(cells ...Span) {
	row := make([]text, len(t.columns))
	for i, c := range cells[:min(len(cells), len(row))] {
		row[i] = join([]Span{c})
	}
	t.rows = append(t.rows, row)
}

// gap is how many columns of a terminal stand between those of a table.
const gap = 2

// How narrow columns of texts become at most.
const (
	narrowestCut  = 8
	narrowestFold = 16
)

// narrowest is how narrow it becomes at most.
func (c Column) narrowest() int {
	switch {
	case c.Fold:
		return narrowestFold
	case c.Cut:
		return narrowestCut
	default:
		return math.MaxInt
	}
}

// Table writes a table. On a terminal that is too narrow, spare columns are left out, which is said below it; then texts are cut
// or folded; at last each row is written as a list.
func (s *Screen) Table(t *Table) {
	rows := t.rows
	if head := t.head(); slices.ContainsFunc(head, func(name text) bool { return name.string != "" }) {
		rows = append([][]text{head}, rows...)
	}
	shown, left, widths := t.fit(rows, s.columns)
	if widths == nil {
		s.blocks(t)
		return
	}
	for _, row := range rows {
		s.row(t, row, shown, widths)
	}
	if len(left) > 0 {
		s.Line(0, Faint.Of("not shown, too narrow: "+strings.Join(left, ", ")))
	}
}

// head is the row of names.
func (t *Table) head() (row []text) {
	for _, c := range t.columns {
		row = append(row, join([]Span{Heading.Of(c.Name)}))
	}
	return row
}

// fit chooses columns and their widths; without widths nothing fits.
func (t *Table) fit(rows [][]text, most int) (shown []int, left []string, widths []int) {
	widths = make([]int, len(t.columns))
	for i := range t.columns {
		shown = append(shown, i)
		for _, row := range rows {
			widths[i] = max(widths[i], row[i].width())
		}
	}
	if most <= 0 {
		return shown, nil, widths
	}
	total := func(folded int) (n int) {
		for _, i := range shown {
			if n += widths[i] + gap; t.columns[i].Fold {
				n -= max(widths[i]-folded, 0)
			}
		}
		return n - gap
	}
	for i := len(t.columns) - 1; i >= 0 && total(leastBeside) > most; i-- {
		if at := slices.Index(shown, i); t.columns[i].Spare && len(shown) > 1 {
			shown, left = slices.Delete(shown, at, at+1), slices.Insert(left, 0, t.columns[i].Name)
		}
	}
	for total(math.MaxInt) > most {
		widest := t.widest(shown, widths)
		if widest < 0 {
			return nil, nil, nil
		}
		widths[widest]--
	}
	return shown, left, widths
}

// widest is the column of texts that gives way; -1 is none.
func (t *Table) widest(shown, widths []int) int {
	widest := -1
	for _, i := range shown {
		if widths[i] > t.columns[i].narrowest() && (widest < 0 || widths[i] > widths[widest]) {
			widest = i
		}
	}
	return widest
}

// row writes a row, in as many lines as its cells need.
func (s *Screen) row(t *Table, row []text, shown, widths []int) {
	cells := make([][]text, len(row))
	height := 1
	for _, i := range shown {
		cells[i] = []text{row[i].cut(widths[i])}
		if t.columns[i].Fold && s.columns > 0 {
			cells[i] = row[i].fold(widths[i], widths[i], true)
		}
		height = max(height, len(cells[i]))
	}
	for n := range height {
		var b strings.Builder
		for place, i := range shown {
			var cell text
			if n < len(cells[i]) {
				cell = cells[i][n]
			}
			if place > 0 {
				b.WriteString(strings.Repeat(" ", gap))
			}
			space := strings.Repeat(" ", max(widths[i]-cell.width(), 0))
			if t.columns[i].Right {
				b.WriteString(space + s.painted(cell))
			} else {
				b.WriteString(s.painted(cell) + space)
			}
		}
		s.write(trimmed(b.String()) + "\n")
	}
}

// blocks writes each row as a list of all that it has.
func (s *Screen) blocks(t *Table) {
	for n, row := range t.rows {
		if n > 0 {
			s.Blank()
		}
		l := NewList(0)
		for i, cell := range row {
			if cell.string != "" {
				l.rows = append(l.rows, entry{join([]Span{Heading.Of(t.columns[i].Name)}), cell})
			}
		}
		s.List(l)
	}
}
