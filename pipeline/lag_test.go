package pipeline

import (
	"testing"
	"time"

	"forager/pipeline/stream"
)

// TestMeterSeesWhatARealStreamDrops: a stream of three messages that takes ten.
func TestMeterSeesWhatARealStreamDrops(t *testing.T) {
	r := newRig(t, nil)
	r.ensure()
	meter := stream.NewMeter(r.link, r.options.Streams())
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	measure := func(want stream.Lag) {
		t.Helper()
		var got stream.Lag
		for range 1000 { // the server counts what is pending a moment after it stored it
			var err error
			if got, err = meter.Measure(t.Context()); err != nil {
				t.Fatal(err)
			}
			if got.AckLimit != uint64(16*64*4) { // of the rig's four calls in flight
				t.Errorf("ack limit %d", got.AckLimit)
			}
			got.LettersBytes, got.AckLimit = 0, 0
			if got == want {
				return
			}
			<-tick.C
		}
		t.Errorf("%+v, want %+v", got, want)
	}
	measure(stream.Lag{})
	r.publish(alert{ID: "a"}, alert{ID: "b"})
	measure(stream.Lag{Pending: 2})
	found, err := r.js.Stream(t.Context(), r.options.Stream)
	if err != nil {
		t.Fatal(err)
	}
	c := found.CachedInfo().Config
	c.MaxMsgs, c.MaxAge = 3, time.Hour
	if _, err := r.js.UpdateStream(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	for range 8 {
		r.publish(alert{ID: "c", Keys: []string{"k"}})
	}
	measure(stream.Lag{Pending: 3, Gone: 7, Retention: time.Hour})
	_, stop := r.start()
	r.ended(3)
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	measure(stream.Lag{Gone: 7, Retention: time.Hour})
	r.publishRaw("alerts.test", []byte("{no json"))
	_, stop = r.start()
	r.ended(4)
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	measure(stream.Lag{Gone: 7, Retention: time.Hour, Letters: 1})
}

func TestMeterSaysWhatIsNotThere(t *testing.T) {
	r := newRig(t, nil)
	if lag, err := stream.NewMeter(r.link, r.options.Streams()).Measure(t.Context()); err == nil {
		t.Errorf("%+v without a stream", lag)
	}
}
