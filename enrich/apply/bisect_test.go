package apply_test

import (
	"errors"
	"testing"

	"forager/enrich"
	"forager/enrich/apply"
	"forager/hive"
)

// TestARequestIsTakenApartUntilItNamesItsOwner: what fails stands alone, the rest is sent once.
func TestARequestIsTakenApartUntilItNamesItsOwner(t *testing.T) {
	t.Parallel()
	refused := &hive.Error{Status: 400, Type: "BadRequest", Sent: true}
	foreign := &hive.Error{Status: 403, Message: "<html>", Sent: true}
	failed := &hive.Error{Status: 500, Type: "InternalError", Sent: true}
	for name, c := range map[string]struct {
		n    int
		bad  map[int]error
		most int // requests
		ends error
	}{
		"nothing":                {n: 0, most: 0},
		"all good":               {n: 64, most: 1},
		"one refused":            {n: 64, bad: map[int]error{41: refused}, most: 13},
		"one alone":              {n: 1, bad: map[int]error{0: refused}, most: 1},
		"one failed":             {n: 64, bad: map[int]error{9: failed}, most: 15},
		"one of a firewall":      {n: 64, bad: map[int]error{63: foreign}, most: 15},
		"one of a busy proxy":    {n: 64, bad: map[int]error{63: &hive.Error{Status: 429, Sent: true}}, most: 15},
		"several of all kinds":   {n: 64, bad: map[int]error{0: refused, 17: failed, 40: foreign}, most: 45},
		"all refused":            {n: 8, bad: map[int]error{0: refused, 1: refused, 2: refused, 3: refused, 4: refused, 5: refused, 6: refused, 7: refused}, most: 15},
		"the claim is lost":      {n: 16, bad: map[int]error{3: enrich.ErrLostClaim}, most: 1, ends: enrich.ErrLostClaim},
		"TheHive asks for fewer": {n: 16, bad: map[int]error{3: &hive.Error{Status: 429, Type: "TooManyRequests", Sent: true}}, most: 1, ends: errors.ErrUnsupported},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			sent, done, alone := 0, map[int]int{}, map[int]bool{}
			items := make([]int, c.n)
			for i := range items {
				items[i] = i
			}
			err := apply.Bisect(items, func(part []int) error {
				sent++
				for _, i := range part {
					if c.bad[i] != nil {
						return c.bad[i]
					}
				}
				for _, i := range part {
					done[i]++
				}
				return nil
			}, func(i int, _ error) { alone[i] = true })
			if c.ends != nil {
				if err == nil || sent != c.most {
					t.Errorf("error %v after %d requests", err, sent)
				}
				return
			}
			if err != nil || sent > c.most {
				t.Errorf("error %v, %d requests, at most %d expected", err, sent, c.most)
			}
			for _, i := range items {
				bad := c.bad[i] != nil
				if alone[i] != bad || done[i] != map[bool]int{true: 0, false: 1}[bad] {
					t.Errorf("item %d: alone %v, done %d times", i, alone[i], done[i])
				}
			}
		})
	}
}
