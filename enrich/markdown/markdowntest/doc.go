// Package markdowntest renders Markdown as TheHive may, and says what of it acts; for tests.
//
// # Promise
//
// [Check] renders texts with goldmark (GitHub's dialect, footnotes, definitions, task lists) and, where node and
// Debian's node-markdown-it are to be had, with markdown-it as the family of TheHive's renderer is set up: HTML, automatic
// links, also fuzzy ones of hosts and mail addresses, breaks, tables. What is rendered is compared with what may be there.
// [Hostile] is a corpus of texts that try to act.
package markdowntest
