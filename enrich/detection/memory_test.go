package detection

import (
	"io/fs"
	"runtime"
	"testing"
	"testing/fstest"
)

// TestFormatsStaySmallInMemory: a worker keeps every format as long as it runs.
func TestFormatsStaySmallInMemory(t *testing.T) {
	const most = 24 << 10 // bytes a format
	mustNew(t, Options{}) // what is made once, whatever the number of decoders
	before := liveBytes()
	d, err := New(ofItsOwn)
	if err != nil {
		t.Fatal(err)
	}
	live := liveBytes() - before
	each := live / int64(len(d.Formats()))
	t.Logf("%d formats: %d bytes, %d each", len(d.Formats()), live, each)
	if each > most {
		t.Errorf("%d bytes a format are held, more than %d", each, most)
	}
	runtime.KeepAlive(d)
}

func liveBytes() int64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.GC() // what a pool still held after the first
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// ofItsOwn makes a decoder that shares its formats with no other.
var ofItsOwn = Options{Formats: []fs.FS{fstest.MapFS{}}}

// BenchmarkNew shows what starting costs, and what is held afterwards.
func BenchmarkNew(b *testing.B) {
	b.ReportAllocs()
	before := liveBytes()
	var d *Decoder
	for b.Loop() {
		var err error
		if d, err = New(ofItsOwn); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(liveBytes()-before), "live-B")
	runtime.KeepAlive(d)
}
