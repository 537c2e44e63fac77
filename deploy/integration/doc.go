// Package integration is the proof on several hosts: nothing but tests, behind the build tag "integration".
//
// Promise: on any machine with Go and a container engine, and without a registry, "make integration" builds images FROM
// scratch out of this module and of nats-server, starts a JetStream cluster of three nodes, three workers and the
// simulated TheHive, each in a container of its own, and breaks them while detections flow: workers are killed, a
// JetStream leader is killed, one worker is cut off from NATS and another from TheHive, TheHive goes down, all workers
// are restarted in turn. Whatever it breaks, TheHive must hold in the end what follows from the detections, no effect
// less and none twice, and no message may be left in the stream or among the dead letters. On failure it shows
// the last lines of every container.
//
// Limits: it needs an engine that answers as Docker does, and skips itself with a word where none is. A partition is a
// network from which the engine takes a container, so that packets vanish without a word; clocks are those of one
// machine. What it starts is labelled, removed at its end, and, should it have been killed, by the next run.
//
//	make integration
//	go test -tags integration -run Hosts -v ./deploy/integration -detections 2000
package integration
