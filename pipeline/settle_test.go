package pipeline

import (
	"testing"
	"time"

	"pgregory.net/rapid"

	"forager/enrich"
)

func TestSettleFollowsTheClass(t *testing.T) {
	const half = 0.5 // the middle of every jitter
	for _, c := range []struct {
		name    string
		attempt Attempt
		want    Verdict
	}{
		{"everything is in TheHive", Attempt{Class: enrich.None}, Verdict{Action: ActionAck}},
		{"nothing is to be done", Attempt{Class: enrich.Dropped, Deliveries: 99}, Verdict{Action: ActionAck}},
		{"unreadable at first sight", Attempt{Class: enrich.Malformed, Deliveries: 1}, Verdict{Action: ActionDeadLetter}},
		{"refused at first sight", Attempt{Class: enrich.Rejected, Deliveries: 1}, Verdict{Action: ActionDeadLetter}},
		{"first failure", Attempt{Class: enrich.Transient, Deliveries: 1, Tries: 1, Rand: half}, Verdict{ActionNak, time.Second}},
		{"fourth failure", Attempt{Class: enrich.Transient, Deliveries: 4, Tries: 4, Rand: half}, Verdict{ActionNak, 8 * time.Second}},
		{"failures enough, too young", Attempt{Class: enrich.Transient, Tries: 500, Age: time.Hour - 1, Rand: half}, Verdict{ActionNak, 5 * time.Minute}},
		{"old, too few failures", Attempt{Class: enrich.Transient, Tries: 20, Age: 99 * time.Hour, Rand: half}, Verdict{ActionNak, 5 * time.Minute}},
		{"old and failed enough", Attempt{Class: enrich.Transient, Tries: 21, Age: time.Hour, Rand: half}, Verdict{Action: ActionDeadLetter}},
		{"delivered a thousand times, tried once", Attempt{Class: enrich.Transient, Deliveries: 1000, Tries: 1, Age: 99 * time.Hour, Rand: half}, Verdict{ActionNak, time.Second}},
		{"throttled", Attempt{Class: enrich.Throttled, Deliveries: 1, Rand: half}, Verdict{ActionNak, time.Second}},
		{"throttled, asked to wait", Attempt{Class: enrich.Throttled, Deliveries: 1, RetryAfter: time.Minute}, Verdict{ActionNak, time.Minute}},
		{"throttled, asked to wait, spread by a quarter", Attempt{Class: enrich.Throttled, Deliveries: 1, RetryAfter: time.Minute, Rand: half}, Verdict{ActionNak, time.Minute + 7500*time.Millisecond}},
		{"failed, asked to wait", Attempt{Class: enrich.Transient, Tries: 1, RetryAfter: time.Minute}, Verdict{ActionNak, time.Minute}},
		{"throttled, asked for less than the back-off", Attempt{Class: enrich.Throttled, Deliveries: 9, RetryAfter: time.Second, Rand: half}, Verdict{ActionNak, 30 * time.Second}},
		{"throttled for ever", Attempt{Class: enrich.Throttled, Deliveries: 1 << 30, Tries: 99, Age: 99 * time.Hour, Rand: half}, Verdict{ActionNak, 30 * time.Second}},
		{"blocked", Attempt{Class: enrich.Blocked, Deliveries: 1, Rand: half}, Verdict{ActionNak, 10 * time.Second}},
		{"blocked again, by deliveries and not by tries", Attempt{Class: enrich.Blocked, Deliveries: 2, Tries: 5, Rand: half}, Verdict{ActionNak, 20 * time.Second}},
		{"blocked for ever", Attempt{Class: enrich.Blocked, Deliveries: 1 << 30, Tries: 99, Age: 99 * time.Hour, Rand: half}, Verdict{ActionNak, time.Minute}},
		{"interrupted", Attempt{Class: enrich.Interrupted, Deliveries: 3, Rand: 0.99}, Verdict{Action: ActionNak}},
		{"interrupted by every fight", Attempt{Class: enrich.Interrupted, Deliveries: 1 << 30, Rand: half}, Verdict{ActionNak, time.Second}},
		{"interrupted once too often", Attempt{Class: enrich.Interrupted, Deliveries: 5, Rand: half}, Verdict{ActionNak, 50 * time.Millisecond}},
		{"sent back by a full key", Attempt{Class: enrich.Interrupted, Deliveries: 1, RetryAfter: 3 * time.Second}, Verdict{ActionNak, 3 * time.Second}},
		{"a class that nobody thought of", Attempt{Class: enrich.Class(99), Tries: 1, Rand: half}, Verdict{ActionNak, time.Second}},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := (Policy{}).Settle(c.attempt); got != c.want {
				t.Errorf("Settle(%+v) = %+v, want %+v", c.attempt, got, c.want)
			}
		})
	}
}

func TestSettleNeverLosesWhatMayPass(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a := Attempt{
			Class:      enrich.Class(rapid.IntRange(0, 12).Draw(t, "class")),
			Deliveries: rapid.IntRange(0, 1<<31-1).Draw(t, "deliveries"),
			Tries:      rapid.IntRange(0, 1<<31-1).Draw(t, "tries"),
			Age:        time.Duration(rapid.Int64Range(0, int64(1000*time.Hour)).Draw(t, "age")),
			RetryAfter: time.Duration(rapid.Int64Range(0, int64(time.Hour)).Draw(t, "retry after")),
			Rand:       rapid.Float64Range(0, 0.999).Draw(t, "rand"),
		}
		got := Policy{}.Settle(a)
		switch a.Class {
		case enrich.Blocked, enrich.Throttled, enrich.Interrupted:
			if got.Action != ActionNak {
				t.Fatalf("%+v: %v", a, got)
			}
		}
		if got.Action == ActionAck && a.Class != enrich.None && a.Class != enrich.Dropped {
			t.Fatalf("%+v acknowledged without effect", a)
		}
		if got.Delay < 0 || got.Delay > 2*time.Hour {
			t.Fatalf("%+v: delay %v", a, got.Delay)
		}
		if got.Action == ActionNak && got.Delay < a.RetryAfter && a.Class != enrich.Blocked {
			t.Fatalf("%+v: delay %v, asked for %v", a, got.Delay, a.RetryAfter)
		}
	})
}

func ExamplePolicy_Settle() {
	verdict := Policy{}.Settle(Attempt{Class: enrich.Throttled, Deliveries: 1, RetryAfter: 20 * time.Second})
	_, _ = verdict.Action, verdict.Delay // ActionNak, 20 s: what TheHive asked for outweighs the back-off
}
