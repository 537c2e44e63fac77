// Package bench measures the worker's speed: "make bench" prints one table.
//
// Promise: every figure of the table comes from one run, of the same binaries, with what an
// operator would run: the worker is a process of the image's own binary (deploy/image/compile) with its
// default configuration and its log on, TheHive's simulator one of "worker simulate", NATS is a real server
// with file storage in a process of its own, and all talk over loopback. Each row has a new
// server, simulator and ledger. Replicas are processes. The clock runs from the moment at which
// the backlog is released (the consumer was paused while it was published) until the server has
// nothing pending and nothing unacknowledged. Beside its figures every row is checked: nothing
// lost, no dead letter, as many cases as keys, nothing doubled; a failure there fails the run,
// a figure that falls short is marked "short" and does not, since machines differ.
//
// Detections are native, one kilobyte, with a host, an address and a hash as observables, two
// techniques and one of three rules. A key's detections bring fifty addresses and twenty hashes
// in turn. All are of one day.
//
// Limits: Linux, since memory and processor time are read from /proc; two cores are shared by
// all processes, so that hot keys and zero latency measure the machine more than the worker.
// The column "cores" tells how many the workers, NATS and the simulator kept busy.
//
//	make bench                            # every row, in less than six minutes
//	make bench ROWS='Speed/(1_key|zero)'  # some rows; what was not measured is no base
//	make bench ROWS=IntakeLosesNothing    # no row: 100 000 events over HTTP while the intake, NATS and the worker are killed in turn
//	make bench PROFILE=/tmp/profiles      # besides, a processor profile of a worker for each row
package bench
