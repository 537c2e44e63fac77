package hive

import (
	"errors"
	"slices"
	"strconv"
	"testing"

	"pgregory.net/rapid"
)

// row is a thing in a list that changes while it is read.
type row struct{ id int }

func rowID(r *row) string { return strconv.Itoa(r.id) }

// slide is fetch over a slice that change may alter before each page.
func slide(list *[]row, change func()) func(from, to int) ([]row, error) {
	return func(from, to int) ([]row, error) {
		change()
		n := len(*list)
		return slices.Clone((*list)[min(from, n):min(to, n)]), nil
	}
}

func ids(rows []row) []int {
	var out []int
	for _, r := range rows {
		out = append(out, r.id)
	}
	return out
}

// readAll reads p until it ends or fails.
func readAll(p pages[row]) ([]int, error) {
	var got []int
	err := p.each(func(r row, _ error) bool {
		got = append(got, r.id)
		return true
	})
	return got, err
}

func TestListGivesEveryEntityOnceAndInOrder(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(0, 40).Draw(t, "n")
		size := rapid.IntRange(1, 12).Draw(t, "size")
		var list []row
		for i := range n {
			list = append(list, row{i})
		}
		requests := 0
		got, err := readAll(pages[row]{size: size, id: rowID, fetch: slide(&list, func() { requests++ })})
		if err != nil || !slices.Equal(got, ids(list)) {
			t.Fatalf("got %v, %v", got, err)
		}
		if most := n/size + 2; requests > most {
			t.Fatalf("%d requests for %d entities in pages of %d", requests, n, size)
		}
	})
}

func TestListThatChangesMissesNothingThatStays(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(1, 60).Draw(t, "n")
		size := rapid.IntRange(1, 12).Draw(t, "size")
		var list []row
		for i := range n {
			list = append(list, row{i})
		}
		gone, next, changes := map[int]bool{}, n, 0
		got, err := readAll(pages[row]{size: size, id: rowID, fetch: slide(&list, func() {
			if changes++; changes > 12 || len(list) == 0 {
				return
			}
			switch rapid.IntRange(0, 2).Draw(t, "change") {
			case 0:
				i := rapid.IntRange(0, len(list)-1).Draw(t, "delete")
				gone[list[i].id] = true
				list = slices.Delete(list, i, i+1)
			case 1:
				list = append(list, row{next})
				next++
			}
		})})
		if errors.Is(err, ErrMoved) {
			return // said so, and so missed nothing unknowingly
		}
		if err != nil {
			t.Fatal(err)
		}
		for i := range n {
			if count := len(slices.DeleteFunc(slices.Clone(got), func(id int) bool { return id != i })); count > 1 || count == 0 && !gone[i] {
				t.Fatalf("entity %d came %d times, gone %t; got %v", i, count, gone[i], got)
			}
		}
	})
}

func TestListThatNeverRestsFails(t *testing.T) {
	t.Parallel()
	next := 0
	_, err := readAll(pages[row]{op: "find cases", size: 2, id: rowID, fetch: func(from, to int) ([]row, error) {
		out := []row{}
		for range to - from {
			next++
			out = append(out, row{next})
		}
		return out, nil
	}})
	if _, ok := asError(err); !ok || !errors.Is(err, ErrMoved) {
		t.Errorf("error %v", err)
	}
}

func TestListEndsAtItsLimitAndWhenTheReaderStops(t *testing.T) {
	t.Parallel()
	list := []row{{1}, {2}, {3}, {4}, {5}}
	requests := 0
	p := pages[row]{size: 2, limit: 3, id: rowID, fetch: slide(&list, func() { requests++ })}
	if got, err := readAll(p); err != nil || !slices.Equal(got, []int{1, 2, 3}) || requests != 2 {
		t.Errorf("got %v, %v in %d requests", got, err, requests)
	}
	requests = 0
	if err := p.each(func(row, error) bool { return false }); err != nil || requests != 1 {
		t.Errorf("%v after %d requests", err, requests)
	}
}

func TestMillisAreCutNotRounded(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		m := Millis(rapid.Int64Range(1, 4102444800000).Draw(t, "ms"))
		if back := MillisOf(m.Time()); back != m {
			t.Fatalf("%d became %d", m, back)
		}
	})
	if !Millis(0).Time().IsZero() || MillisOf(Millis(0).Time()) != 0 {
		t.Error("none must stay none")
	}
}

func TestUnitsCountAsTheServerDoes(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]int{"": 0, "abc": 3, "é": 1, "日本": 2, "😀": 2, "\xff": 1} {
		if got := Units(text); got != want {
			t.Errorf("%q: %d, want %d", text, got, want)
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		s, limit := rapid.String().Draw(t, "s"), rapid.IntRange(0, 20).Draw(t, "limit")
		cut := Truncate(s, limit)
		if Units(cut) > limit || s[:len(cut)] != cut || (Units(s) <= limit && cut != s) {
			t.Fatalf("%q cut to %q at %d", s, cut, limit)
		}
		if rest := []rune(s[len(cut):]); len(rest) > 0 && Units(cut+string(rest[:1])) <= limit {
			t.Fatalf("%q cut to %q at %d: one more fits", s, cut, limit)
		}
	})
}

// TestAPageThatIsTooLargeIsHalved: whatever its entities weigh, a list ends: with all of them, or with the one that is too large by itself.
func TestAPageThatIsTooLargeIsHalved(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		const most = 100
		weights := rapid.SliceOfN(rapid.IntRange(1, most+2), 0, 60).Draw(t, "weights")
		size := rapid.IntRange(1, 50).Draw(t, "size")
		requests := 0
		var list []row
		for i := range weights {
			list = append(list, row{i})
		}
		got, err := readAll(pages[row]{size: size, id: rowID, fetch: func(from, to int) ([]row, error) {
			requests++
			page, sum := list[min(from, len(list)):min(to, len(list))], 0
			for _, r := range page {
				sum += weights[r.id]
			}
			if sum > most {
				return nil, &Error{Err: ErrTooLarge}
			}
			return slices.Clone(page), nil
		}})
		heavy := slices.IndexFunc(weights, func(w int) bool { return w > most })
		switch {
		case heavy < 0 && (err != nil || !slices.Equal(got, ids(list))):
			t.Fatalf("got %v, %v", got, err)
		case heavy >= 0 && (!errors.Is(err, ErrTooLarge) || !slices.Equal(got, ids(list[:heavy]))):
			t.Fatalf("got %v, %v, where %d is too large", got, err, heavy)
		case requests > 3*len(list)+10:
			t.Fatalf("%d requests for %d", requests, len(list))
		}
	})
}
