package main

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"testing"
)

// live lets a history happen: hosts with a case, then the box, then more of these and of new hosts,
// among them, three of each text, what the box may refuse for ever. It ends when all has, and gives
// the number of dead letters.
func (c *crossing) live(rules []boxRule, refused ...string) (buried int) {
	c.t.Helper()
	for _, host := range []string{"old-a", "old-b"} {
		c.send(host, "", false)
	}
	c.ended()
	c.box.set(rules...)
	for n := range 3 {
		for _, host := range []string{"old-a", "old-b", "new-a", "new-b"} {
			c.send(host, "", false)
		}
		if n < len(refused) {
			c.send("old-a", refused[n], true)
			c.send("new-a", refused[n], true)
			c.send("only-"+strconv.Itoa(n), refused[n], true)
		}
	}
	c.ended()
	var says []string
	for _, r := range rules {
		if r.times == 0 {
			says = append(says, r.answer.says())
		}
	}
	return c.judge(says...)
}

// TestMiddleBoxesThatGoAwayCostNothing: whatever some calls were answered, every detection is in its
// case in the end, once.
func TestMiddleBoxesThatGoAwayCostNothing(t *testing.T) {
	t.Parallel()
	for status := range commonStatuses {
		for _, after := range []bool{false, true} {
			answer := boxAnswerOf(status, status)
			t.Run(fmt.Sprintf("%d, TheHive asked %t", answer.status, after), func(t *testing.T) {
				t.Parallel()
				newCrossing(t, uint64(status)).live([]boxRule{{share: 0.3, times: boxTimes, after: after, answer: answer}})
			})
		}
	}
}

// TestMiddleBoxesThatRefuseATextConcernItsSenderAlone: what holds the text is a dead letter that says
// what the box said; what shares its host, its case and its calls is not.
func TestMiddleBoxesThatRefuseATextConcernItsSenderAlone(t *testing.T) {
	t.Parallel()
	for status := range commonStatuses {
		answer := boxAnswerOf(status, status)
		t.Run(strconv.Itoa(answer.status), func(t *testing.T) {
			t.Parallel()
			refuseText(t, answer)
		})
	}
	t.Run("reset", func(t *testing.T) {
		t.Parallel()
		refuseText(t, boxAnswer{reset: true})
	})
	t.Run("cut", func(t *testing.T) {
		t.Parallel()
		refuseText(t, boxAnswer{status: http.StatusOK, kind: "application/json", body: `[{"_id":"~1","_type":"Observ`, cut: true})
	})
}

func refuseText(t *testing.T, answer boxAnswer) {
	t.Helper()
	if got := newCrossing(t, 1).live([]boxRule{{text: "etc/passwd", answer: answer}}, "cat /etc/passwd"); got != 3 {
		t.Errorf("%d dead letters, want the three with the text", got)
	}
}

// TestMiddleBoxesThatStopAnOperationForATimeCostNothing: every call of a kind is answered by a page,
// for a time.
func TestMiddleBoxesThatStopAnOperationForATimeCostNothing(t *testing.T) {
	t.Parallel()
	for i, call := range []string{"", "POST /api/v1/query", "GET /api/v1/case/", "POST /api/v1/case", "PATCH /api/v1/case/", "/observable", "/procedure", "/comment", "/user/current"} {
		for j, status := range []int{200, 403, 404} {
			answer := boxBodies[(i+j)%2]
			answer.status = status
			t.Run(fmt.Sprintf("%s %d", call, status), func(t *testing.T) {
				t.Parallel()
				newCrossing(t, 1).live([]boxRule{{call: call, times: boxTimes, answer: answer}})
			})
		}
	}
}

// TestMiddleBoxesThatLimitABodyConcernWhatIsLargerAlone: a bulk is parted until its parts fit; what
// fits nowhere is a dead letter.
func TestMiddleBoxesThatLimitABodyConcernWhatIsLargerAlone(t *testing.T) {
	t.Parallel()
	for _, status := range []int{400, 413, 502} {
		answer := boxBodies[0]
		answer.status = status
		t.Run(strconv.Itoa(status), func(t *testing.T) {
			t.Parallel()
			c := newCrossing(t, 1)
			c.send("old-a", "", false)
			c.ended()
			c.box.set(boxRule{above: 3000, answer: answer})
			for range 60 {
				c.send("old-a", "", false)
			}
			c.send("old-a", strings.Repeat("large ", 660), true)
			c.ended()
			if got := c.judge(answer.says()); got != 1 {
				t.Errorf("%d dead letters, want that of the large one", got)
			}
		})
	}
}

// TestTextsOfTheHiveInAForeignMouthAreNoVerdict: a page that says what TheHive would say changes nothing.
func TestTextsOfTheHiveInAForeignMouthAreNoVerdict(t *testing.T) {
	t.Parallel()
	for _, body := range []string{"NotFoundError: Case not found", "Observable already exists", "Case not found\n", `{"message":"Observable already exists"}`, `{"type":"about:blank","message":"Observable already exists"}`} {
		for _, status := range []int{400, 404, 409} {
			t.Run(fmt.Sprintf("%d %s", status, body), func(t *testing.T) {
				t.Parallel()
				newCrossing(t, 1).live([]boxRule{{share: 0.4, times: boxTimes, answer: boxAnswer{status: status, kind: "text/plain", body: body}}})
			})
		}
	}
}

// TestAGateOpensAlthoughOnlyRefusedMessagesAreLeft: after an outage of everything, what a box refuses
// for ever is tried as a probe. It fails, and TheHive answers: the gate is open, and its time runs.
func TestAGateOpensAlthoughOnlyRefusedMessagesAreLeft(t *testing.T) {
	t.Parallel()
	answers := map[string]boxAnswer{"reset": {reset: true}, "cut": {status: http.StatusOK, kind: "application/json", body: `[{"_id":"~1","_ty`, cut: true}}
	for _, status := range []int{403, 429, 502, 503, 504} {
		answer := boxBodies[0]
		answer.status = status
		answers[strconv.Itoa(status)] = answer
	}
	for name, answer := range answers {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			onlyRefusedAreLeft(t, answer)
		})
	}
}

func onlyRefusedAreLeft(t *testing.T, answer boxAnswer) {
	t.Helper()
	c := newCrossing(t, 1)
	c.send("old-a", "", false)
	c.ended()
	c.box.set(boxRule{answer: boxAnswer{status: http.StatusBadGateway, kind: "text/html", body: "<html>Bad Gateway"}})
	c.send("old-a", "cat /etc/passwd", true)
	c.send("new-a", "cat /etc/passwd", true)
	c.wait("the gate to close", func() bool {
		c.mu.Lock()
		defer c.mu.Unlock()
		return len(c.gates) > 0
	})
	c.box.set(boxRule{text: "etc/passwd", answer: answer})
	c.ended()
	if got := c.judge(answer.says()); got != 2 {
		t.Errorf("%d dead letters, want both", got)
	}
}

// FuzzMiddleBoxes: any mixture of boxes ends with every detection in its case, once, but for those
// that a box refuses for ever, which are dead letters. Each rule of a mixture is six bytes.
func FuzzMiddleBoxes(f *testing.F) {
	f.Add(uint64(1), []byte{2, 5, 0, 4, 0, 0, 0, 3, 1, 4, 1, 1})
	f.Add(uint64(2), []byte{1, 13, 3, 7, 1, 0, 3, 14, 4, 2, 1, 2, 0, 2, 0, 3, 0, 4})
	f.Add(uint64(3), []byte{4, 0, 0, 5, 0, 0, 2, 11, 5, 3, 1, 5, 1, 12, 6, 6, 2, 6})
	f.Add(uint64(4), []byte{8, 10, 0, 0, 4, 0, 12, 13, 1, 0, 4, 0})                    // 429 to one text for ever, 503 to another
	f.Add(uint64(5), []byte{8, 12, 0, 0, 5, 0, 12, 14, 1, 0, 0, 0, 1, 13, 2, 5, 4, 4}) // 502 after TheHive, a reset, 503 now and then
	f.Add(uint64(6), []byte{8, 0, 0, 0, 2, 0, 12, 10, 1, 0, 5, 0, 2, 10, 3, 4, 5, 2})  // a cut answer, 429 after TheHive
	f.Fuzz(func(t *testing.T, seed uint64, mixture []byte) {
		rules := mixtureOf(mixture)
		t.Logf("%+v", rules)
		newCrossing(t, seed).live(rules, "cat /etc/passwd", "alert(1)")
	})
}

// mixtureOf makes at most three rules of bytes. Those without a text go away, and together they give
// fewer answers than a message has tries.
func mixtureOf(b []byte) (rules []boxRule) {
	calls := []string{"", "/query", "/case", "PATCH ", "/observable", "/procedure", "/comment"}
	texts := []string{"", "", "etc/passwd", "alert(1)"}
	for ; len(b) >= 6 && len(rules) < 3; b = b[6:] {
		r := boxRule{
			share: []float64{0, 0.2, 0.5, 0.8}[b[0]%4], text: texts[b[0]/4%4], times: 1 + int(b[3])%(boxTimes/3+1),
			after: b[4]%2 == 1, call: calls[int(b[5])%len(calls)], answer: boxAnswerOf(int(b[1]), int(b[2])),
		}
		switch {
		case r.text != "":
			r.share, r.times, r.call = 0, 0, ""
			r.answer.reset, r.answer.cut = b[4]/2%8 == 0, b[4]/2%8 == 1
		case b[4]/2%8 == 0:
			r.answer.reset = true
		case b[4]/2%8 == 1:
			r.answer.cut = true
		}
		rules = append(rules, r)
	}
	return rules
}
