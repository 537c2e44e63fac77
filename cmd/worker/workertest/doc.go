// Package workertest has what the tests of the command and of its service share: waiting for what is certain to come (wait.go), metrics
// as they are scraped (scrape.go), a middle box between the worker and TheHive (middlebox.go), what good and hostile senders publish
// (senders.go), and what a detection must leave in TheHive (sent.go).
package workertest
