package detection

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"sort"
	"strings"
	"sync"
	"testing"
	"text/tabwriter"
	"time"

	"forager/enrich/detection/malformed"
)

// samplesDir finds ../shared/data/samples beside the repository, or skips.
func samplesDir(tb testing.TB) string {
	tb.Helper()
	dir, err := os.Getwd()
	if err != nil {
		tb.Fatal(err)
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			break
		}
		if filepath.Dir(dir) == dir {
			tb.Skip("no go.mod above this directory")
		}
		dir = filepath.Dir(dir)
	}
	samples := filepath.Join(filepath.Dir(dir), "shared", "data", "samples")
	if _, err := os.Stat(samples); err != nil {
		tb.Skip("the shared samples are not here")
	}
	return samples
}

func sampleFiles(tb testing.TB, dir string) []string {
	tb.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*", "*.json"))
	if err != nil {
		tb.Fatal(err)
	}
	lines, err := filepath.Glob(filepath.Join(dir, "*", "*.txt"))
	if err != nil {
		tb.Fatal(err)
	}
	files = append(files, lines...)
	slices.Sort(files)
	return files
}

// defaults is the decoder that most tests need, made once.
var defaults = sync.OnceValues(func() (*Decoder, error) { return New(Options{}) })

func mustNew(tb testing.TB, o Options) *Decoder {
	tb.Helper()
	d, err := defaults()
	if o.Why || o.Redact != nil || len(o.Formats)+len(o.Pins)+len(o.Lists)+len(o.DataTypes) > 0 || o.Limits != (Limits{}) {
		d, err = New(o)
	}
	if err != nil {
		tb.Fatal(err)
	}
	return d
}

// now is the time of every test's messages: later than every sample.
var now = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

// decodeSample reads an event, and counts what became of it in its folder's row.
func decodeSample(t *testing.T, d *Decoder, file string, rows map[string]*sampleRow) (folder string, r Result, err error) {
	t.Helper()
	folder = filepath.Base(filepath.Dir(file))
	row := rows[folder]
	if row == nil {
		row = &sampleRow{dropped: map[string]int{}}
		rows[folder] = row
	}
	body, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	r, err = d.Decode(Message{Body: body, Time: now})
	row.add(r, err)
	return folder, r, err
}

// TestSamplesAreOfTheirFolder reads every public event: each is recognised as what its folder says,
// or dropped as such, and as nothing else.
func TestSamplesAreOfTheirFolder(t *testing.T) {
	dir := samplesDir(t)
	d := mustNew(t, Options{})
	rows := map[string]*sampleRow{}
	for _, file := range sampleFiles(t, dir) {
		folder, r, err := decodeSample(t, d, file, rows)
		switch {
		case err != nil:
			t.Errorf("%s: %v", filepath.Base(file), err)
		case r.Format != folder:
			t.Errorf("%s/%s: recognised as %q", folder, filepath.Base(file), r.Format)
		}
		for _, det := range r.Detections {
			if det.ID == "" || det.Title == "" || det.Severity == 0 || det.Time.IsZero() {
				t.Errorf("%s: incomplete: %+v", file, det)
			}
			if det.TimeReplaced {
				t.Logf("%s/%s: time replaced", folder, filepath.Base(file))
			}
		}
	}
	t.Log("\n" + table(rows))
}

// TestSamplesOfOtherProductsAreOfTheirFolderOrNoise reads the public events of the products that came
// later: each is recognised as what its folder says, or dropped by name; "further" is a folder of many.
func TestSamplesOfOtherProductsAreOfTheirFolderOrNoise(t *testing.T) {
	dir := filepath.Join(filepath.Dir(samplesDir(t)), "samples-2")
	if _, err := os.Stat(dir); err != nil {
		t.Skip("the shared samples of other products are not here")
	}
	d := mustNew(t, Options{})
	rows := map[string]*sampleRow{}
	for _, file := range sampleFiles(t, dir) {
		folder, r, err := decodeSample(t, d, file, rows)
		if err != nil || folder != "further" && folder != "cef" && r.Format != folder { // CEF of a product that has a format is the product's
			t.Errorf("%s/%s: recognised as %q, %v", folder, filepath.Base(file), r.Format, err)
		}
		for _, det := range r.Detections {
			if det.ID == "" || det.Title == "" || det.Severity == 0 || det.Time.IsZero() {
				t.Errorf("%s: incomplete: %+v", file, det)
			}
		}
	}
	t.Log("\n" + table(rows))
}

type sampleRow struct {
	files, detections, observables, techniques, broken int
	dropped                                            map[string]int
}

func (s *sampleRow) add(r Result, err error) {
	s.files++
	if _, ok := errors.AsType[*malformed.Error](err); ok {
		s.broken++
	}
	for _, d := range r.Dropped {
		s.dropped[d.Reason]++
	}
	for _, d := range r.Detections {
		s.detections++
		s.observables += len(d.Observables)
		s.techniques += len(d.Techniques)
	}
}

func table(rows map[string]*sampleRow) string {
	var b strings.Builder
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	names := make([]string, 0, len(rows))
	for n := range rows {
		names = append(names, n)
	}
	sort.Strings(names)
	fmt.Fprintln(w, "format\tfiles\tdetections\tdropped\tbroken\tobservables\ttechniques")
	for _, n := range names {
		r := rows[n]
		var drops []string
		for reason, k := range r.dropped {
			drops = append(drops, fmt.Sprintf("%d %s", k, reason))
		}
		sort.Strings(drops)
		fmt.Fprintf(w, "%s\t%d\t%d\t%s\t%d\t%d\t%d\n", n, r.files, r.detections, strings.Join(drops, ", "), r.broken, r.observables, r.techniques)
	}
	_ = w.Flush()
	return b.String()
}

// consoleAddress is a member in which a product gives the address of an alert in its console.
var consoleAddress = regexp.MustCompile(`"(?:FalconHostLink|falcon_host_link|alertWebUrl|incidentUrl|incident_url|AlertLink|urlBackToProduct|workbenchLink|src_url|alert_url|eiconsolelink|DeepLinkUrl|results_link|threatUrl|html_url|href|generatorURL)" ?: ?"https?://`)

func TestConsoleAddressesOfSamplesAreLinks(t *testing.T) {
	d := mustNew(t, Options{})
	held := 0
	for _, dir := range []string{samplesDir(t), filepath.Join(filepath.Dir(samplesDir(t)), "samples-2")} {
		for _, file := range sampleFiles(t, dir) {
			body, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			r, err := d.Decode(Message{Body: body, Time: now})
			if err != nil || len(r.Detections) == 0 || !consoleAddress.Match(body) {
				continue
			}
			held++
			if !slices.ContainsFunc(r.Detections, func(det Detection) bool { return det.Link != "" }) {
				t.Errorf("%s: no link", file)
			}
		}
	}
	if held < 15 {
		t.Errorf("%d samples hold an address of a console", held)
	}
}
