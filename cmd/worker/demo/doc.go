// Package demo shows the whole way of alerts with nothing but the binary: an embedded JetStream, a simulated TheHive, and between them the
// worker as run wires it. The image is built without it, and so without both servers.
//
// Its way: demo.go reads the command line and the events; stage.go starts the servers and the worker, publishes, and waits until everything
// is settled; tally.go counts how messages ended; report.go looks in TheHive for every effect of every event that was acknowledged;
// page.go shows the cases while the demonstration stays up. simulate.go is a simulated TheHive alone.
//
// Its limits: at most 256 events are on their way to the stream at once; two minutes without any message settled end it.
package demo
