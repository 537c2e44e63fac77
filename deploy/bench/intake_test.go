//go:build bench && linux

package bench

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/sourcegraph/conc/pool"
)

// Senders of the intake's rows, each with a connection of its own, one event after the other.
const (
	intakeSenders = 64
	intakeEvents  = 40_000
	intakeToken   = "only for this bench"
)

// intake: events over HTTP, beside those of a publisher that does nothing but wait for the stream. The events are those of the
// other rows. Both are repeated in turn, and the better of each counts: the machine is shared.
func (b *bench) intake(t *testing.T) {
	s := newScene(t, b.programs, manners{})
	s.makeStream(t)
	addr := s.takeIn(t, b.programs)
	var published, posted float64
	var cost [2][3]time.Duration // processor of this process, NATS and the intake: for what is published, and what is posted
	for round := range 3 {
		for way, open := range []func(*testing.T) sender{s.publisher, poster(addr)} {
			if way == 1 && round == 1 {
				s.profile(t, syscall.SIGUSR1)
			}
			before := s.costs(t)
			rate := s.rateOf(t, round*2+way, open)
			if now := s.costs(t); way == 0 {
				published, cost[0] = max(published, rate), less(now, before)
			} else {
				posted, cost[1] = max(posted, rate), less(now, before)
			}
			if way == 1 && round == 1 {
				s.profile(t, syscall.SIGUSR2)
			}
		}
	}
	t.Logf("processor of an event, senders + NATS + intake: published %v, posted %v", cost[0], cost[1])
	b.atLeast(line{
		row: "intake", measured: fmt.Sprintf("1 KB events over HTTP, %d connections; base: published, each confirmed", intakeSenders),
		base: perSecond(published), result: perSecond(posted), ratio: fmt.Sprintf("%.2f", posted/published), must: "≥ 0.70",
	}, posted/published, 0.7)
	own, through := s.idle(t, s.publisher), s.idle(t, poster(addr))
	b.atMost(line{
		measured: "… idle, 99 % of 202 within; base: of the stream alone", base: fmt.Sprintf("%.2f ms", ms(own)), result: fmt.Sprintf("%.2f ms", ms(through)), must: "≤ base + 5 ms",
	}, ms(through-own), 5)
}

// costs is the processor that senders (this process), NATS and the intake took so far.
func (s *scene) costs(t *testing.T) [3]time.Duration {
	t.Helper()
	var own syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &own); err != nil {
		t.Fatal(err)
	}
	return [3]time.Duration{time.Duration(own.Utime.Nano() + own.Stime.Nano()), s.nats.processor(t), s.workers[0].processor(t)}
}

// less is what an event took between two moments.
func less(now, before [3]time.Duration) (each [3]time.Duration) {
	for i := range now {
		each[i] = ((now[i] - before[i]) / intakeEvents).Round(100 * time.Nanosecond)
	}
	return each
}

func ms(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

func (s *scene) makeStream(t *testing.T) {
	t.Helper()
	if _, err := s.js.CreateStream(t.Context(), jetstream.StreamConfig{Name: streamName, Subjects: []string{"detections.>"}}); err != nil {
		t.Fatal(err)
	}
}

// takeIn starts the intake and waits until it is ready.
func (s *scene) takeIn(t *testing.T, built programs) (addr string) {
	t.Helper()
	addr, ops := freePort(t), freePort(t)
	env := intakeEnv(s.natsURL, addr, ops)
	if *profiles != "" {
		env = append(env, "BENCH_PROFILE="+profileName(t))
	}
	p, _ := spawn(t, env, built.worker, "intake")
	s.workers = append(s.workers, p)
	if !eventually(t, 20*time.Second, func() bool { return answers(t.Context(), "http://"+ops+"/readyz") }) {
		t.Fatalf("intake is not ready\n%s", p.tail())
	}
	return addr
}

func intakeEnv(natsURL, addr, ops string) []string {
	return []string{
		"FORAGER_NATS_URL=" + natsURL, "FORAGER_INTAKE_ADDR=" + addr, "FORAGER_OPS_ADDR=" + ops,
		"FORAGER_INTAKE_SOURCES=[{name: bench, subject: " + subject + ", token: " + intakeToken + "}]",
	}
}

// sender hands one event over and returns when it is in the stream.
type sender func(body []byte) error

// rateOf is how many events a second the senders hand over. first tells apart what is sent in each round.
func (s *scene) rateOf(t *testing.T, round int, open func(*testing.T) sender) float64 {
	t.Helper()
	at := time.Now().UTC().Truncate(24 * time.Hour)
	senders := pool.New().WithErrors()
	var all []sender
	for range intakeSenders {
		all = append(all, open(t))
	}
	began := time.Now()
	for n, send := range all {
		senders.Go(func() error {
			for i := n; i < intakeEvents; i += intakeSenders {
				if err := send(detectionOf(round*intakeEvents+i, 50, at)); err != nil {
					return err
				}
			}
			return nil
		})
	}
	if err := senders.Wait(); err != nil {
		t.Fatal(err)
	}
	return intakeEvents / time.Since(began).Seconds()
}

// idle is the time within which 99 of 100 events are in the stream when there is one now and then.
func (s *scene) idle(t *testing.T, open func(*testing.T) sender) time.Duration {
	t.Helper()
	at, send := time.Now().UTC(), open(t)
	tick := time.NewTicker(3 * time.Millisecond)
	defer tick.Stop()
	var took []time.Duration
	for i := range 2000 {
		<-tick.C
		began := time.Now()
		if err := send(detectionOf(i, 7, at)); err != nil {
			t.Fatal(err)
		}
		took = append(took, time.Since(began))
	}
	slices.Sort(took)
	return took[len(took)*99/100]
}

// publisher has a connection of its own to NATS.
func (s *scene) publisher(t *testing.T) sender {
	t.Helper()
	nc, err := nats.Connect(s.natsURL)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	return func(body []byte) error {
		_, err := js.Publish(context.Background(), subject, body)
		return err
	}
}

// poster has a connection of its own to the intake. It writes requests by hand: the sender is not what is measured.
func poster(addr string) func(*testing.T) sender {
	return func(t *testing.T) sender {
		t.Helper()
		conn, err := net.Dial("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = conn.Close() })
		return writer(conn)
	}
}

// writer posts on a connection.
func writer(conn net.Conn) sender {
	head := "POST /v1/detections HTTP/1.1\r\nHost: intake\r\nAuthorization: Bearer " + intakeToken + "\r\nContent-Type: application/json\r\nContent-Length: "
	var out []byte
	in := make([]byte, 4<<10)
	return func(body []byte) error {
		out = append(strconv.AppendInt(append(out[:0], head...), int64(len(body)), 10), "\r\n\r\n"...)
		if _, err := conn.Write(append(out, body...)); err != nil {
			return err
		}
		return answered(conn, in)
	}
}

var errNot202 = errors.New("not answered with 202")

// answered reads one answer: it ends with its JSON.
func answered(conn net.Conn, in []byte) error {
	n := 0
	for {
		got, err := conn.Read(in[n:])
		if n += got; err != nil {
			return err
		}
		if bytes.HasSuffix(in[:n], []byte("}\n")) {
			break
		}
	}
	if !bytes.HasPrefix(in[:n], []byte("HTTP/1.1 202 ")) {
		return fmt.Errorf("%w: %s", errNot202, in[:n])
	}
	return nil
}
