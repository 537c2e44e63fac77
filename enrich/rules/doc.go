// Package rules says what an operator's routes and silences make of a detection.
//
// # Promise
//
// [NewRouter] checks all rules at once and says of each mistake which rule, field, line and column it
// is in. [Router.Decide] is pure and bounded: it makes no call, runs no longer than the cost limit of
// its expressions allows, and nothing in an event can act in what it makes: no Markdown, no HTML, no
// address of the event's own. What fails at run time gives way to the default, and is told.
//
// # The way of a rule
//
//	route.go        what an operator writes: Route, Silence, and the error of a mistake
//	compile.go      checks each field and compiles it (condition.go: CEL, level.go: levels and custom fields)
//	template.go     texts: placeholder.go finds the placeholders, rendered.go renders Markdown to know
//	                where each stands, position.go writes a value as its place asks
//	seen.go         the detection as conditions and texts see it
//	router.go       which silence or route holds
//	decide.go       what follows from it: identity, content, shape.go: the fields of the case
//
// # Limits
//
// Expressions are bounded by CEL's cost (a million units), texts to 64 KiB before and after rendering,
// titles and tags to what TheHive takes.
//
// # Errors
//
// [NewRouter] joins a [RuleError] for each mistake. Decide has no error: faults are in the decision.
package rules
