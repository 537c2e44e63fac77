// Package simulation lives through hours of a SOC in seconds.
//
// It promises that the whole worker, as run wires it, in two or three replicas, carries a seeded schedule of detections
// through faults and analysts to an end that a judge with a model of its own agrees with: nothing lost, nothing doubled,
// analysts have the last word. Time is virtual (testing/synctest) and every connection is in memory; the NATS server is
// the real one, in the same bubble, so that no model of JetStream can be wrong. TheHive is the simulator of hive/hivetest.
//
// The way of a run: schedule (what happens when, from a seed alone: by chance, or stories for which the protocol was made),
// world (servers, replicas, connections that hang and break), play (the events happen), judge (what must be there now),
// shrink (a failing schedule without what it does not need). Each is a process of its own, several of them at once (hours).
//
// Limits: the NATS server stands alone, so that it has no leader to lose; other versions of the worker are other limits of
// time, not another binary; goroutines run in Go's order, which no seed decides. There is no code here beside the tests.
package simulation
