package service

import (
	"cmp"
	"flag"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"forager/cmd/worker/workertest"
)

// live lets a history happen: hosts with a case, then the box, then more of these and of new hosts,
// among them, three of each text, what the box may refuse for ever. It ends when all has, and gives
// the number of dead letters.
func (c *crossing) live(rules []workertest.BoxRule, refused ...string) (dead int) {
	c.t.Helper()
	for _, host := range []string{"old-a", "old-b"} {
		c.send(host, "", false)
	}
	c.ended()
	c.box.Set(rules...)
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
		if r.Times == 0 {
			says = append(says, r.Answer.Says())
		}
	}
	return c.judge(says...)
}

// TestMiddleBoxesThatGoAwayCostNothing: whatever some calls were answered, every detection is in its
// case in the end, once.
func TestMiddleBoxesThatGoAwayCostNothing(t *testing.T) {
	t.Parallel()
	for status := range workertest.CommonStatuses {
		for _, after := range []bool{false, true} {
			answer := workertest.BoxAnswerOf(status, status)
			t.Run(fmt.Sprintf("%d, TheHive asked %t", answer.Status, after), func(t *testing.T) {
				t.Parallel()
				newCrossing(t, uint64(status)).live([]workertest.BoxRule{{Share: 0.3, Times: boxTimes, After: after, Answer: answer}})
			})
		}
	}
}

// TestMiddleBoxesThatRefuseATextConcernItsSenderAlone: what holds the text is a dead letter that says
// what the box said; what shares its host, its case and its calls is not.
func TestMiddleBoxesThatRefuseATextConcernItsSenderAlone(t *testing.T) {
	t.Parallel()
	for status := range workertest.CommonStatuses {
		answer := workertest.BoxAnswerOf(status, status)
		t.Run(strconv.Itoa(answer.Status), func(t *testing.T) {
			t.Parallel()
			refuseText(t, answer)
		})
	}
	t.Run("reset", func(t *testing.T) {
		t.Parallel()
		refuseText(t, workertest.BoxAnswer{Reset: true})
	})
	t.Run("cut", func(t *testing.T) {
		t.Parallel()
		refuseText(t, workertest.BoxAnswer{Status: http.StatusOK, Kind: "application/json", Body: `[{"_id":"~1","_type":"Observ`, Cut: true})
	})
}

func refuseText(t *testing.T, answer workertest.BoxAnswer) {
	t.Helper()
	if got := newCrossing(t, 1).live([]workertest.BoxRule{{Text: "etc/passwd", Answer: answer}}, "cat /etc/passwd"); got != 3 {
		t.Errorf("%d dead letters, want the three with the text", got)
	}
}

// TestMiddleBoxesThatStopAnOperationForATimeCostNothing: every call of a kind is answered by a page,
// for a time.
func TestMiddleBoxesThatStopAnOperationForATimeCostNothing(t *testing.T) {
	t.Parallel()
	for i, call := range []string{"", "POST /api/v1/query", "GET /api/v1/case/", "POST /api/v1/case", "PATCH /api/v1/case/", "/observable", "/procedure", "/comment", "/user/current"} {
		for j, status := range []int{200, 403, 404} {
			answer := workertest.BoxBodies[(i+j)%2]
			answer.Status = status
			t.Run(fmt.Sprintf("%s %d", call, status), func(t *testing.T) {
				t.Parallel()
				newCrossing(t, 1).live([]workertest.BoxRule{{Call: call, Times: boxTimes, Answer: answer}})
			})
		}
	}
}

// TestMiddleBoxesThatLimitABodyConcernWhatIsLargerAlone: a bulk is parted until its parts fit; what
// fits nowhere is a dead letter.
func TestMiddleBoxesThatLimitABodyConcernWhatIsLargerAlone(t *testing.T) {
	t.Parallel()
	for _, status := range []int{400, 413, 502} {
		answer := workertest.BoxBodies[0]
		answer.Status = status
		t.Run(strconv.Itoa(status), func(t *testing.T) {
			t.Parallel()
			c := newCrossing(t, 1)
			c.send("old-a", "", false)
			c.ended()
			c.box.Set(workertest.BoxRule{Above: 3000, Answer: answer})
			for range 60 {
				c.send("old-a", "", false)
			}
			c.send("old-a", strings.Repeat("large ", 660), true)
			c.ended()
			if got := c.judge(answer.Says()); got != 1 {
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
				newCrossing(t, 1).live([]workertest.BoxRule{{Share: 0.4, Times: boxTimes, Answer: workertest.BoxAnswer{Status: status, Kind: "text/plain", Body: body}}})
			})
		}
	}
}

// TestAGateOpensAlthoughOnlyRefusedMessagesAreLeft: after an outage of everything, what a box refuses
// for ever is tried as a probe. It fails, and TheHive answers: the gate is open, and its time runs.
func TestAGateOpensAlthoughOnlyRefusedMessagesAreLeft(t *testing.T) {
	t.Parallel()
	answers := map[string]workertest.BoxAnswer{"reset": {Reset: true}, "cut": {Status: http.StatusOK, Kind: "application/json", Body: `[{"_id":"~1","_ty`, Cut: true}}
	for _, status := range []int{403, 429, 502, 503, 504} {
		answer := workertest.BoxBodies[0]
		answer.Status = status
		answers[strconv.Itoa(status)] = answer
	}
	for name, answer := range answers {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			onlyRefusedAreLeft(t, answer)
		})
	}
}

func onlyRefusedAreLeft(t *testing.T, answer workertest.BoxAnswer) {
	t.Helper()
	c := newCrossing(t, 1)
	c.send("old-a", "", false)
	c.ended()
	c.box.Set(workertest.BoxRule{Answer: workertest.BoxAnswer{Status: http.StatusBadGateway, Kind: "text/html", Body: "<html>Bad Gateway"}})
	c.send("old-a", "cat /etc/passwd", true)
	c.send("new-a", "cat /etc/passwd", true)
	c.wait("the gate to close", func() bool {
		c.mu.Lock()
		defer c.mu.Unlock()
		return len(c.gates) > 0
	})
	c.box.Set(workertest.BoxRule{Text: "etc/passwd", Answer: answer})
	c.ended()
	if got := c.judge(answer.Says()); got != 2 {
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

// How long random mixtures are tried, and which one alone.
var (
	boxesFor = flag.Duration("boxes", 0, "how long random mixtures of middle boxes are tried; 0 is not at all")
	boxSeed  = flag.Uint64("boxseed", 0, "try this mixture alone, as often as -boxes has time for")
)

// boxLanes is how many mixtures are under way at a time: most of their time they wait.
const boxLanes = 4

// TestMiddleBoxesAtRandom is FuzzMiddleBoxes without its engine: what a mixture does is no matter of the branches that it
// reaches, and a binary that counts them takes minutes to build. A failure names the mixture's seed.
func TestMiddleBoxesAtRandom(t *testing.T) {
	if *boxesFor == 0 {
		t.Skip("-boxes says for how long: make boxes")
	}
	end, tried := time.Now().Add(*boxesFor), new(atomic.Int32)
	t.Cleanup(func() { t.Logf("%d mixtures in %s", tried.Load(), *boxesFor) })
	for lane := range boxLanes {
		t.Run(strconv.Itoa(lane), func(t *testing.T) {
			t.Parallel()
			for time.Now().Before(end) {
				seed := cmp.Or(*boxSeed, rand.Uint64())
				t.Run(fmt.Sprint("boxseed=", seed), func(t *testing.T) { atRandom(t, seed) })
				tried.Add(1)
			}
		})
	}
}

func atRandom(t *testing.T, seed uint64) {
	t.Helper()
	draw := rand.New(rand.NewPCG(seed, 0))
	mixture := make([]byte, 18)
	for i := range mixture {
		mixture[i] = byte(draw.IntN(256))
	}
	rules := mixtureOf(mixture)
	t.Logf("%+v", rules)
	newCrossing(t, seed).live(rules, "cat /etc/passwd", "alert(1)")
}

// mixtureOf makes at most three rules of bytes. Those without a text go away, and together they give
// fewer answers than a message has tries.
func mixtureOf(b []byte) (rules []workertest.BoxRule) {
	calls := []string{"", "/query", "/case", "PATCH ", "/observable", "/procedure", "/comment"}
	texts := []string{"", "", "etc/passwd", "alert(1)"}
	for ; len(b) >= 6 && len(rules) < 3; b = b[6:] {
		r := workertest.BoxRule{
			Share: []float64{0, 0.2, 0.5, 0.8}[b[0]%4], Text: texts[b[0]/4%4], Times: 1 + int(b[3])%(boxTimes/3+1),
			After: b[4]%2 == 1, Call: calls[int(b[5])%len(calls)], Answer: workertest.BoxAnswerOf(int(b[1]), int(b[2])),
		}
		switch {
		case r.Text != "":
			r.Share, r.Times, r.Call = 0, 0, ""
			r.Answer.Reset, r.Answer.Cut = b[4]/2%8 == 0, b[4]/2%8 == 1
		case b[4]/2%8 == 0:
			r.Answer.Reset = true
		case b[4]/2%8 == 1:
			r.Answer.Cut = true
		}
		rules = append(rules, r)
	}
	return rules
}
