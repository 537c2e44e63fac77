package intake

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"forager/pipeline/intake"
)

// sink takes everything.
type sink struct{}

func (sink) Put(context.Context, intake.Event) (intake.Receipt, error) {
	return intake.Receipt{Stream: "DET", Sequence: 1}, nil
}

func BenchmarkTake(b *testing.B) {
	h, err := NewHandler(Options{Sources: senders()[:1]}, sink{})
	if err != nil {
		b.Fatal(err)
	}
	body := fmt.Sprintf(`{"a":%q}`, strings.Repeat("x", 1000))
	b.ReportAllocs()
	for b.Loop() {
		r := httptest.NewRequestWithContext(b.Context(), http.MethodPost, Path, strings.NewReader(body))
		r.Header.Set("Authorization", "Bearer tok")
		r.Header.Set("Content-Type", "application/json")
		h.ServeHTTP(httptest.NewRecorder(), r)
	}
}
