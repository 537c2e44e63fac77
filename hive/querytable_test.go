package hive_test

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// queryOperations is the grammar of POST /query as TheHive's OpenAPI 5.5.13
// describes it in prose, which its schema cannot express: the first operation,
// the steps below a case, and the fields that each operation takes.
var queryOperations = map[string][]string{
	"listCase": {}, "listJob": {}, "listPattern": {}, "listProcedure": {}, "listObservableType": {}, "listObservable": {},
	"listCustomField": {}, "listCaseTemplate": {}, "listUser": {}, "listAlert": {}, "listTask": {}, "listProfile": {},
	"listOrganisation": {}, "listPageTemplate": {},
	"getCase": {"idOrName"}, "getAlert": {"idOrName"}, "getTask": {"idOrName"},
	"alerts": {}, "logs": {}, "case": {},
	"getObservable": {"idOrName"}, "jobs": {}, // TheHive 4; the descriptions of 5 name no list of jobs
	"observables": {}, "comments": {}, "procedures": {}, "tasks": {}, "pages": {}, "attachments": {},
	"sort":  {"_fields"},
	"page":  {"from", "to"},
	"count": {},
}

// filterOperands is what each operator of a filter takes: the names of the
// fields of its object, or the kind of its operand.
var filterOperands = map[string]string{
	"_and": "filters", "_or": "filters", "_not": "filter", "_any": "null", "_has": "text", "_id": "text",
	"_eq": "_field _value", "_ne": "_field _value", "_lt": "_field _value", "_lte": "_field _value", "_gt": "_field _value", "_gte": "_field _value",
	"_like": "_field _value", "_match": "_field _value", "_startsWith": "_field _value", "_endsWith": "_field _value",
	"_in": "_field _values", "_between": "_field _from _to",
}

var fieldName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_. -]*$`)

// judgeQuery checks the body of a query by the tables.
func judgeQuery(sent []byte) []string {
	var body struct {
		Query         []map[string]any `json:"query"`
		ExcludeFields []string         `json:"excludeFields"`
	}
	d := json.NewDecoder(strings.NewReader(string(sent)))
	d.DisallowUnknownFields()
	if err := d.Decode(&body); err != nil {
		return []string{"query: " + err.Error()}
	}
	var out []string
	for i, op := range body.Query {
		name, _ := op["_name"].(string)
		if first := strings.HasPrefix(name, "list") || strings.HasPrefix(name, "get"); first != (i == 0) {
			out = append(out, fmt.Sprintf("operation %d is %s", i, name))
		}
		delete(op, "_name")
		if name == "filter" {
			out = append(out, judgeFilter(op)...)
			continue
		}
		if _, extra := op["extraData"].([]any); extra && name == "page" {
			delete(op, "extraData")
		}
		fields, known := queryOperations[name]
		if !known || len(fields) != len(op) {
			out = append(out, fmt.Sprintf("operation %s with %v", name, op))
		}
		for _, f := range fields {
			if _, there := op[f]; !there {
				out = append(out, name+" without "+f)
			}
		}
		if name == "sort" {
			out = append(out, judgeSort(op["_fields"])...)
		}
	}
	return out
}

// judgeSort checks [{"<field>": "asc|desc"}, …].
func judgeSort(fields any) []string {
	list, ok := fields.([]any)
	if !ok || len(list) == 0 {
		return []string{fmt.Sprintf("sort by %v", fields)}
	}
	for _, by := range list {
		object, _ := by.(map[string]any)
		if len(object) != 1 {
			return []string{fmt.Sprintf("sort by %v", by)}
		}
		for field, direction := range object {
			if !fieldName.MatchString(field) || direction != "asc" && direction != "desc" {
				return []string{fmt.Sprintf("sort by %v", by)}
			}
		}
	}
	return nil
}

// judgeFilter checks one operator and its operand.
func judgeFilter(filter map[string]any) []string {
	if len(filter) != 1 {
		return []string{fmt.Sprintf("filter with %d operators", len(filter))}
	}
	for operator, operand := range filter {
		kind, known := filterOperands[operator]
		if !known {
			return []string{"unknown operator " + operator}
		}
		switch kind {
		case "null":
			if operand != nil {
				return []string{operator + " with an operand"}
			}
		case "text":
			if s, ok := operand.(string); !ok || s == "" {
				return []string{operator + " without text"}
			}
		case "filter":
			inner, _ := operand.(map[string]any)
			return judgeFilter(inner)
		case "filters":
			return judgeFilters(operand)
		default:
			return judgeFields(operator, operand, strings.Fields(kind))
		}
	}
	return nil
}

func judgeFilters(operand any) []string {
	list, ok := operand.([]any)
	if !ok {
		return []string{fmt.Sprintf("%v is no list of filters", operand)}
	}
	var out []string
	for _, f := range list {
		inner, _ := f.(map[string]any)
		out = append(out, judgeFilter(inner)...)
	}
	return out
}

func judgeFields(operator string, operand any, names []string) []string {
	object, _ := operand.(map[string]any)
	var got []string
	for name := range object {
		got = append(got, name)
	}
	slices.Sort(got)
	slices.Sort(names)
	if !slices.Equal(got, names) {
		return []string{fmt.Sprintf("%s with %v, wants %v", operator, got, names)}
	}
	if f, _ := object["_field"].(string); !fieldName.MatchString(f) {
		return []string{fmt.Sprintf("%s on field %q", operator, f)}
	}
	return nil
}
