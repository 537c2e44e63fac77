// Package feedback closes alerts where they came from: it reads what a source is told of its alerts, and tells the
// source's own API.
//
// Promise: each message is worked, in order, until the source took it; what the source refuses for good is told and left.
// To set a status again that an alert has changes nothing, so that a message that comes again does no harm.
//
//	command.go  "worker feedback elastic": flags, configuration, connection
//	elastic.go  what Elastic Security is asked, and what its answers mean
//	worked.go   the loop: messages of one status in one request, patience with a source that is away
package feedback
