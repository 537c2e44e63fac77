// Package check looks at NATS and TheHive as a worker would use them, and tells what is broken, what hurts and what to do. It ends, whatever
// the servers do: a call takes at most five seconds, all of them together 25. It changes nothing; [Lag] opens a case, and [Conform] some hundred, and both delete them.
//
// Its way: connect.go looks at both servers at once ([Inspect]); hive.go at the release, the licence, the clock, the account and its
// rights; rules.go at what routes name, the data types and the ATT&CK patterns; conform.go asks what nobody knows of
// TheHive for sure (questions.go), in cases that it removes; lag.go measures how long a search does not show what was
// written; print.go writes the findings, for people and as JSON. What is looked at in NATS is in the package pipeline/inspect.
//
// Its errors are mistakes of the caller (shell.UsageError): what a server says becomes a finding.
package check
