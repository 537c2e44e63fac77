// Package nats holds what a NATS account must allow Forager, as a piece of server configuration.
//
// Promise: permissions.conf is enough for what each of its parts names, and nothing in it is too
// much: the tests run every part against a server that allows only that, then again without each
// line in turn, with both forms of acknowledgement subjects.
//
// Limits: subjects carry the default names of streams, consumer and bucket; who configures others
// replaces them. It says nothing about who may publish detections.
//
//	FORAGER_BIND: { … }
//	authorization {
//	  users: [ { user: forager, password: "…", permissions: $FORAGER_BIND } ]
//	}
package nats
