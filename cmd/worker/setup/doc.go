// Package setup writes a first configuration: "worker init".
//
// Promise: what is there is never overwritten, and when one file cannot be written none of the others
// stays. Secrets lie in files that only their owner may read. What is written can be loaded, as far as
// the answers are right, and every file says in comments what to change.
//
// Limits: it makes nothing in NATS or TheHive. Who makes streams without Forager finds the commands in
// a script, for the command line tool of NATS (nats 0.1 or newer).
package setup
