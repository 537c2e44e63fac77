package formats

import (
	"reflect"
	"testing"
	"testing/fstest"
)

// TestAFormatThatIsMetIsThatOfTheWholeSet: what is compiled when it is met is what is compiled with all others.
func TestAFormatThatIsMetIsThatOfTheWholeSet(t *testing.T) {
	met, err := New()
	if err != nil {
		t.Fatal(err)
	}
	whole, err := New(fstest.MapFS{})
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(met.Names(), whole.Names()) || len(met.index) != len(whole.index) {
		t.Fatalf("names %q, %d names that tell; want %q, %d", met.Names(), len(met.index), whole.Names(), len(whole.index))
	}
	for key, want := range whole.index {
		got := met.index[key]
		if len(got) != len(want) {
			t.Fatalf("%s tells %d alternatives, want %d", key, len(got), len(want))
		}
		for i := range want {
			if got[i].format != want[i].format || got[i].order != want[i].order || saidAll(got[i].when) != saidAll(want[i].when) {
				t.Errorf("%s tells %s (%d) by %s, want %s (%d) by %s", key, got[i].format, got[i].order, saidAll(got[i].when),
					want[i].format, want[i].order, saidAll(want[i].when))
			}
		}
	}
	for _, name := range whole.Names() {
		if !reflect.DeepEqual(met.Named(name), whole.Named(name)) {
			t.Errorf("%s differs", name)
		}
	}
}

// TestTheHeadOfAFile has all that tells a format, however its lines are broken.
func TestTheHeadOfAFile(t *testing.T) {
	text := "# Acme: alarms.\nformat: acme\nid: [ref]\nrecognise:\n# by its version\n- - {path: a}\n\n  - {path: b,\n     is: c}\norder: 3\ntitle: [x]\nfragment: false\nkey: [y]\n"
	want := "format: acme\nrecognise:\n# by its version\n- - {path: a}\n\n  - {path: b,\n     is: c}\norder: 3\nfragment: false\n"
	if got := string(head([]byte(text))); got != want {
		t.Errorf("%q, want %q", got, want)
	}
}
