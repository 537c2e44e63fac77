package rulefiles

import (
	"slices"

	"forager/enrich/rules"
)

// Asked notes which rows rules ask for. It is for one goroutine.
type Asked struct{ answers []Answer }

// Answer is a row that was asked for.
type Answer struct {
	Table, Key string
	Row        map[string]string // its cells by column; nil: there is none
}

// Take gives what was asked since it was called last, each row once, in the order in which it was asked.
func (a *Asked) Take() []Answer {
	taken := a.answers
	a.answers = nil
	return taken
}

// of is a table whose questions are noted.
func (a *Asked) of(name string, table rules.Lookup) rules.Lookup {
	if a == nil {
		return table
	}
	return &askedTable{Lookup: table, name: name, notes: a}
}

// askedTable notes what it is asked.
type askedTable struct {
	rules.Lookup

	name  string
	notes *Asked
}

// Find answers as the table does.
func (t *askedTable) Find(key string) (cell func(column int) string, found bool) {
	cell, found = t.Lookup.Find(key)
	if slices.ContainsFunc(t.notes.answers, func(a Answer) bool { return a.Table == t.name && a.Key == key }) {
		return cell, found
	}
	answer := Answer{Table: t.name, Key: key}
	if found {
		answer.Row = map[string]string{}
		for i, column := range t.Columns() {
			answer.Row[column] = cell(i)
		}
	}
	t.notes.answers = append(t.notes.answers, answer)
	return cell, found
}
