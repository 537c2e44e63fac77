// Package markdown writes texts that others wrote into TheHive's Markdown fields, so that nothing in them acts.
//
// # Promise
//
// Rendered, a text is that text and nothing else: no link, image, HTML, mention, heading, list, table or
// admonition is ever made of it, by CommonMark, GitHub's dialect, or markdown-it with its automatic links
// (the family of TheHive's renderer). And a text is stored as people write it: what could become an address stands in
// a code span, and of all other punctuation only what would act where it stands is escaped.
//
//	Text    words: a title, the name of a rule, a description; several lines
//	Code    a value of one line: a host, an account, a path, a command line
//	Cell    a value in a table; CellText: words there
//	Block   lines of a log, a raw event
//	Link    an address that leads back to a console, under the name of its host
//
// A backslash is no protection against automatic links: renderers look for them after escapes are
// resolved. Only code is.
//
// The package is pure and knows nothing of detections. It needs package canon for what texts may hold at all.
package markdown
