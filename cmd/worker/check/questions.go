package check

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"forager/pipeline"
)

// lags asks how long searches and lists do not show what was written. What it measures is waited for by all others.
func (q *conformance) lags(ctx context.Context) {
	id, tag, made := q.open(ctx, "")
	one := Question{Number: 3, Ask: "How long do a search by tag and a case's own lists not show what was written?", Expected: "at once",
		Means: "hive.settle must be longer, twice at least (P2, P3): what is not shown is taken for not there"}
	if id == "" {
		q.skip(one, "no case was opened: "+made.String())
		return
	}
	search := q.until(ctx, q.me, byTag(tag))
	q.me.ask(ctx, http.MethodPost, "/case/"+id+"/comment", `{"message":"m"}`)
	lists := q.until(ctx, q.me, partOf(id, "comments"))
	q.lag = max(search, lists)
	q.out.Quirks["searchLagMs"], q.out.Quirks["listLagMs"] = search.Milliseconds(), lists.Milliseconds()
	one.Got = "at once"
	if q.lag > 0 {
		one.Got = "a search after " + brief(search) + ", a list after " + brief(lists)
	}
	q.judge(one, "")
}

const lagMost = 30 * time.Second

// until waits until a query finds something; 0: at the first look.
func (q *conformance) until(ctx context.Context, a *asker, steps string) time.Duration {
	begun := time.Now()
	for looks := 0; ; looks++ {
		n, took := a.count(ctx, steps), time.Since(begun)
		switch {
		case n > 0 && looks == 0:
			return 0
		case n > 0 || took > lagMost || !pause(ctx, 50*time.Millisecond):
			return took
		}
	}
}

// tasks asks whether a list of tasks is whole.
func (q *conformance) tasks(ctx context.Context) {
	id, _, made := q.open(ctx, `,"tasks":[{"title":"a"},{"title":"b"},{"title":"c"}]`)
	one := Question{Number: 3, Ask: "Is a case's list of tasks whole?", Expected: "3 of 3", Means: "a script that relies on the list doubles tasks; Forager does not look at it"}
	if id == "" {
		q.skip(one, "no case was opened: "+made.String())
		return
	}
	n := q.settled(ctx, id, "tasks")
	one.Got = fmt.Sprintf("%d of 3", n)
	q.out.Quirks["shortTasks"] = n < 3
	q.judge(one, "")
}

// restricted asks how a restricted case looks to an account without access.
func (q *conformance) restricted(ctx context.Context) {
	one := Question{Number: 1, Ask: "What is a restricted case to another account of the organisation?", Expected: "hidden",
		Means: "out of sight is no deletion: a new case takes what comes (P4); shown or refused, the same case may be tried"}
	if q.other == nil {
		one.State, one.Got = ByHand, "give --conform-key-file with the API key of another account of this organisation, once of a Normal and once of a Service account"
		q.note(one)
		return
	}
	id, tag, made := q.open(ctx, "")
	closed := made
	if id != "" {
		closed = q.me.ask(ctx, http.MethodPost, "/case/"+id+"/access", `{"access":{"_kind":"UserAccessKind","users":["`+q.user.Login+`"]}}`)
	}
	who := q.other.ask(ctx, http.MethodGet, "/user/current", "")
	if closed.status != http.StatusNoContent || who.status != http.StatusOK {
		q.skip(one, "the case was not restricted, or the other account is refused: "+closed.String()+"; "+who.String())
		return
	}
	kind, _ := who.at("type").(string)
	key := "restricted"
	if kind == "Service" {
		key, one.Expected = "restrictedService", "shown"
	}
	pause(ctx, 2*q.lag)
	get, found := q.other.ask(ctx, http.MethodGet, "/case/"+id, ""), q.other.count(ctx, byTag(tag))
	post := q.other.ask(ctx, http.MethodPost, "/case/"+id+"/observable", `{"dataType":"ip","data":"192.0.2.99"}`)
	patch := q.other.ask(ctx, http.MethodPatch, "/case/"+id, `{"severity":1}`)
	one.Got = map[int]string{http.StatusNotFound: "hidden", http.StatusForbidden: "refused", http.StatusOK: "shown"}[get.status]
	q.out.Quirks[key] = one.Got
	q.judge(one, fmt.Sprintf("type %s: GET %d, search by tag finds %d, POST of an observable %d, PATCH %d", kind, get.status, found, post.status, patch.status))
}

// deleted asks what a POST below a deleted case is answered.
func (q *conformance) deleted(ctx context.Context) {
	one := Question{Number: 2, Ask: "What does a POST below a deleted case answer?", Expected: "404", Means: "with 403 the case is looked at once more before anything is charged (P4)"}
	id, _, made := q.open(ctx, "")
	gone := q.me.ask(ctx, http.MethodDelete, "/case/"+id, "")
	if id == "" || gone.status != http.StatusNoContent {
		q.skip(one, "no case was opened and deleted: "+made.String()+"; "+gone.String())
		return
	}
	got := q.me.ask(ctx, http.MethodPost, "/case/"+id+"/comment", `{"message":"m"}`)
	one.Got, q.out.Quirks["belowDeleted"] = strconv.Itoa(got.status), got.status
	q.judge(one, got.String())
}

const crowd = 50

// parallel asks what many writes at a time meet.
func (q *conformance) parallel(ctx context.Context) {
	one := Question{Number: 4, Ask: "What do fifty writes to one case at a time meet, and fifty new cases?", Expected: "nothing: all are stored, none twice",
		Means: "a class of 500 that Forager does not know to fail before storing costs a look and hive.settle each (P2, P10)"}
	id, _, made := q.open(ctx, "")
	if id == "" {
		q.skip(one, "no case was opened: "+made.String())
		return
	}
	pause(ctx, time.Second)
	below := q.at(func(int) said {
		return q.me.once(ctx, http.MethodPost, "/case/"+id+"/comment", jsonType, []byte(`{"message":"m"}`))
	})
	cases := q.at(func(int) said {
		_, _, got := q.openAs(ctx, func(ctx context.Context, method, path, body string) said {
			return q.me.once(ctx, method, path, jsonType, []byte(body))
		}, "")
		return got
	})
	pause(ctx, time.Second)
	stored := q.settled(ctx, id, "comments")
	one.Got = one.Expected
	class := ""
	for _, s := range slices.Concat(below, cases) {
		if s.status != http.StatusCreated {
			one.Got, class = "failures", s.kind
		}
	}
	if made := tally(below)["201"]; stored != made {
		one.Got = fmt.Sprintf("%d comments are there of %d that were confirmed", stored, made)
	}
	if class != "" {
		q.out.Quirks["failureClass"] = class
	}
	q.judge(one, fmt.Sprintf("one case: %v; new cases: %v", tally(below), tally(cases)))
}

// at does something fifty times at a time.
func (q *conformance) at(do func(i int) said) []said {
	out := make([]said, crowd)
	var all pipeline.Tasks
	for i := range out {
		all.Go("ask TheHive", func() { out[i] = do(i) })
	}
	_ = all.Wait() // a panic has ended the process
	return out
}

// tally counts answers by what they say.
func tally(all []said) map[string]int {
	out := map[string]int{}
	for _, s := range all {
		name := strconv.Itoa(s.status)
		if s.kind != "" {
			name += " " + s.kind
		}
		out[name]++
	}
	return out
}

// procedures asks what stays of three of which one is refused.
func (q *conformance) procedures(ctx context.Context) {
	one := Question{Number: 5, Ask: "What stays of three procedures of which one has an unknown technique?", Expected: "none",
		Means: "the case is looked at after any refusal, so that nothing is doubled (P3); others cost that look"}
	id, _, made := q.open(ctx, "")
	known := q.me.ask(ctx, http.MethodPost, "/query?name=forager-conform", `{"query":[{"_name":"listPattern"},{"_name":"page","from":0,"to":1}]}`)
	pattern, _ := known.at(0, "patternId").(string)
	if id == "" || pattern == "" {
		q.skip(one, "no case was opened, or there is no pattern: "+made.String()+"; "+known.String())
		return
	}
	entry := func(p string) string { return `{"patternId":"` + p + `","occurDate":1700000000000}` }
	got := q.me.ask(ctx, http.MethodPost, "/case/"+id+"/procedures", `{"procedures":[`+entry(pattern)+`,`+entry("T9999.999")+`,`+entry(pattern)+`]}`)
	stays := q.settled(ctx, id, "procedures")
	one.Got = "others"
	if stays == 0 {
		one.Got = "none"
	}
	q.out.Quirks["badProcedure"] = one.Got
	q.judge(one, fmt.Sprintf("%s; %d are there", got, stays))
}

// doubles asks what becomes of observables and files that are there already.
func (q *conformance) doubles(ctx context.Context) {
	one := Question{Number: 6, Ask: "How is a doubled observable answered, alone and among others?", Expected: "207",
		Means: "which value was refused decides what is charged (P3, P4)"}
	id, _, made := q.open(ctx, "")
	if id == "" {
		q.skip(one, "no case was opened: "+made.String())
		return
	}
	add := func(data string) said {
		return q.me.ask(ctx, http.MethodPost, "/case/"+id+"/observable", `{"dataType":"other","data":`+data+`}`)
	}
	add(`"a"`)
	alone, among := add(`"a"`), add(`["a","b"]`)
	one.Got, q.out.Quirks["doubled"] = strconv.Itoa(alone.status), alone.status
	q.judge(one, fmt.Sprintf("among others %s; %d are there of 2", among, q.settled(ctx, id, "observables")))
	q.secondName(ctx)
}

// secondName asks whether a file of a known content under another name is another one.
func (q *conformance) secondName(ctx context.Context) {
	one := Question{Number: 6, Ask: "Is a file with a known content and another name another observable?", Expected: "double", Means: "as an observable of its own it needs no tag for its name (P3)"}
	id, _, _ := q.open(ctx, "")
	var last said
	for _, name := range []string{"one.txt", "two.txt"} {
		form := "--b\r\nContent-Disposition: form-data; name=\"_json\"\r\n\r\n{\"dataType\":\"file\"}\r\n--b\r\nContent-Disposition: form-data; name=\"attachment\"; filename=\"" +
			name + "\"\r\nContent-Type: text/plain\r\n\r\nForager\r\n--b--\r\n"
		for try := range 3 {
			last = q.me.once(ctx, http.MethodPost, "/case/"+id+"/observable", "multipart/form-data; boundary=b", []byte(form))
			if last.status < 500 || !pause(ctx, time.Duration(try+1)*300*time.Millisecond) {
				break
			}
		}
	}
	n := q.settled(ctx, id, "observables")
	one.Got = map[int]string{1: "double", 2: "observable"}[n]
	q.out.Quirks["secondName"] = one.Got
	q.judge(one, last.String())
}

// merge asks what a merged case has of its sources.
func (q *conformance) merge(ctx context.Context) {
	one := Question{Number: 7, Ask: "What does a case that was merged of two have?", Expected: "everything of both",
		Means: "what it lacks is added again by the next detection, or is lost to the analysts (P3, P5)"}
	var ids []string
	known := q.me.ask(ctx, http.MethodPost, "/query?name=forager-conform", `{"query":[{"_name":"listPattern"},{"_name":"page","from":0,"to":1}]}`)
	pattern, _ := known.at(0, "patternId").(string)
	for i := range 2 {
		id, _, _ := q.open(ctx, "")
		q.me.ask(ctx, http.MethodPost, "/case/"+id+"/comment", `{"message":"m`+strconv.Itoa(i)+`"}`)
		q.me.ask(ctx, http.MethodPost, "/case/"+id+"/page", `{"title":"p`+strconv.Itoa(i)+`","content":"c","category":"k"}`)
		q.me.ask(ctx, http.MethodPost, "/case/"+id+"/procedure", `{"patternId":"`+pattern+`","occurDate":1700000000000}`)
		ids = append(ids, id)
	}
	pause(ctx, 2*q.lag)
	merged := q.me.ask(ctx, http.MethodPost, "/case/_merge/"+strings.Join(ids, ","), "")
	id, _ := merged.at("_id").(string)
	q.track(id)
	if id == "" {
		q.skip(one, "the cases were not merged: "+merged.String())
		return
	}
	lost, counts := []string{}, map[string]int{}
	for _, part := range []string{"comments", "pages", "procedures"} {
		counts[part] = q.settled(ctx, id, part)
		if counts[part] < 2 {
			lost = append(lost, part)
		}
	}
	tags, _ := merged.at("tags").([]any)
	one.Got, q.out.Quirks["mergeLoses"] = one.Expected, lost
	if len(lost) > 0 {
		one.Got = "it lacks " + strings.Join(lost, ", ")
	}
	source := q.me.ask(ctx, http.MethodGet, "/case/"+ids[0], "")
	q.judge(one, fmt.Sprintf("of 2 each: %v; %d tags of 3; a source answers %d", counts, len(tags), source.status))
}

// fields asks what becomes of what TheHive does not know.
func (q *conformance) fields(ctx context.Context) {
	one := Question{Number: 8, Ask: "What becomes of a custom field that nobody defined?", Expected: "dropped", Means: "dropped, it is seen in the answer; refused, the case is opened without it (both: forager:degraded)"}
	_, _, got := q.open(ctx, `,"customFields":[{"name":"forager-no-such-field","value":"x"}]`)
	kept, _ := got.at("customFields").([]any)
	switch {
	case got.status >= 400:
		one.Got = "refused"
	case len(kept) > 0:
		one.Got = "kept"
	default:
		one.Got = "dropped"
	}
	q.out.Quirks["unknownField"] = one.Got
	q.judge(one, got.String())
	for _, name := range []string{"assignee", "caseTemplate", "status"} {
		_, _, got := q.open(ctx, `,"`+name+`":"forager-none"`)
		another := Question{Number: 8, Ask: "Is an unknown " + name + " refused?", Expected: "refused", Got: "refused", Means: "a case is opened without it, and nobody is told"}
		if got.status < 400 {
			another.Got = "taken"
		}
		q.judge(another, got.String())
	}
}

// templates asks whether a case has the tags of its template beside its own.
func (q *conformance) templates(ctx context.Context) {
	one := Question{Number: 8, Ask: "When does a case have the tags of its template?", Expected: "always", Means: "Forager sends them itself: nothing"}
	if q.isSince(5, 7, 1) {
		one.Expected = "unless sent"
	}
	name := strings.ReplaceAll(q.tag, ":", "-")
	made := q.me.ask(ctx, http.MethodPost, "/caseTemplate", `{"name":"`+name+`","tags":["forager-template"],"tasks":[{"title":"t"}]}`)
	if made.status != http.StatusCreated {
		q.skip(one, "no template was made: "+made.String())
		return
	}
	_, _, got := q.open(ctx, `,"caseTemplate":"`+name+`"`)
	id, _ := made.at("_id").(string)
	gone := q.me.ask(context.WithoutCancel(ctx), http.MethodDelete, "/caseTemplate/"+id, "")
	tags, _ := got.at("tags").([]any)
	one.Got = "unless sent"
	if slices.Contains(tags, any("forager-template")) {
		one.Got = "always"
	}
	q.out.Quirks["templateTags"] = one.Got
	q.judge(one, fmt.Sprintf("%s; the template was removed again: %d", got, gone.status))
}

// reopen asks which right it takes to open a closed case again.
func (q *conformance) reopen(ctx context.Context) {
	const right = "manageCase/reopen"
	one := Question{Number: 9, Ask: "May an account without manageCase/reopen open a closed case again?", Expected: right, Means: "a 403 of this step is charged to the detection, and closes no gate (P4)"}
	if !q.isSince(5, 2, 6) {
		one.Expected = "manageCase/update"
	}
	if q.user.May(right) {
		one.State, one.Got = ByHand, "this account has the right: run this with a key that has manageCase/update and not manageCase/reopen"
		q.note(one)
		return
	}
	id, _, made := q.open(ctx, `,"status":"Other"`)
	got := q.me.ask(ctx, http.MethodPatch, "/case/"+id, `{"status":"InProgress"}`)
	if id == "" || got.status != http.StatusNoContent && got.status != http.StatusForbidden {
		q.skip(one, "no closed case was opened, or not changed: "+made.String()+"; "+got.String())
		return
	}
	one.Got = map[int]string{http.StatusNoContent: "manageCase/update", http.StatusForbidden: right}[got.status]
	q.out.Quirks["reopen"] = one.Got
	q.judge(one, got.String())
}

// strangers asks what an organisation of others and a wrong key are answered. One wrong key is harmless, five ban an address.
func (q *conformance) strangers(ctx context.Context) {
	one := Question{Number: 10, Ask: "What is an organisation answered that is not the account's?", Expected: "403", Means: "401 would be taken for a wrong key: the worker waits eleven minutes and says so"}
	foreign := *q.me
	foreign.organisation = "forager-no-such-organisation"
	got := foreign.ask(ctx, http.MethodGet, "/user/current", "")
	one.Got, q.out.Quirks["foreignOrganisation"] = strconv.Itoa(got.status), got.status
	q.judge(one, got.String())
	wrong := *q.me
	wrong.sign = func(r *http.Request) { r.Header.Set("Authorization", "Bearer forager-no-such-key") }
	got = wrong.once(ctx, http.MethodGet, "/user/current", "", nil)
	q.judge(Question{Number: 10, Ask: "What is a wrong key answered?", Expected: "401", Got: strconv.Itoa(got.status), Means: "the gate closes for the wrong reason"}, got.String())
}

// wrongType asks what a body of the wrong content type is answered.
func (q *conformance) wrongType(ctx context.Context) {
	one := Question{Number: 10, Ask: "What is a body of the wrong content type answered?", Expected: "400", Means: "nothing for Forager, which sends JSON; a script may look at it"}
	if fixed, ok := map[int]int{2: 16, 3: 11, 4: 10, 5: 1}[q.release[1]]; ok && q.release[2] < fixed { // the patch of each series
		one.Expected = "415"
	}
	got := q.me.once(ctx, http.MethodPost, "/case", "text/plain", []byte(`{"title":"Forager asks what TheHive does (may be deleted)","description":"d","tags":["`+q.tag+`"]}`))
	one.Got, q.out.Quirks["wrongType"] = strconv.Itoa(got.status), got.status
	q.judge(one, got.String())
}

// tags asks whether tags that are added at a time are all kept, and as they were sent.
func (q *conformance) tags(ctx context.Context) {
	one := Question{Number: 11, Ask: "Are all tags kept of fifty updates at a time?", Expected: "all that were confirmed", Means: "tags of detections are lost, the key's own too (P2)"}
	id, _, made := q.open(ctx, "")
	if id == "" {
		q.skip(one, "no case was opened: "+made.String())
		return
	}
	pause(ctx, time.Second)
	added := q.at(func(i int) said {
		return q.me.once(ctx, http.MethodPatch, "/case/"+id, jsonType, []byte(`{"addTags":["forager-`+strconv.Itoa(i)+`"]}`))
	})
	pause(ctx, time.Second)
	tags, _ := q.me.ask(ctx, http.MethodGet, "/case/"+id, "").at("tags").([]any)
	lost := 0
	for i, a := range added {
		if a.status == http.StatusNoContent && !slices.Contains(tags, any("forager-"+strconv.Itoa(i))) {
			lost++
		}
	}
	one.Got = one.Expected
	if lost > 0 {
		one.Got = fmt.Sprintf("%d were lost", lost)
	}
	q.out.Quirks["lostTags"] = lost > 0
	q.judge(one, fmt.Sprint(tally(added)))
	q.taxonomy(ctx)
}

// taxonomy asks how a tag comes back that reads as one of a taxonomy.
func (q *conformance) taxonomy(ctx context.Context) {
	one := Question{Number: 11, Ask: "How does a tag a:b=c come back?", Expected: "kept", Means: "a tag that comes back as another is added again and again (P3)"}
	id, _, _ := q.open(ctx, "")
	q.me.ask(ctx, http.MethodPatch, "/case/"+id, `{"addTags":["forager-a:b=c"]}`)
	tags, _ := q.me.ask(ctx, http.MethodGet, "/case/"+id, "").at("tags").([]any)
	switch {
	case slices.Contains(tags, any("forager-a:b=c")):
		one.Got = "kept"
	case slices.Contains(tags, any(`forager-a:b="c"`)):
		one.Got = "quoted"
	default:
		one.Got = "otherwise"
	}
	if one.Got != "otherwise" {
		q.out.Quirks["tags"] = one.Got
	}
	q.judge(one, fmt.Sprint(tags))
}

// texts asks for the limits of a tag and a title.
func (q *conformance) texts(ctx context.Context) {
	for what, more := range map[string]string{
		"a tag of 128 units with quotes": `,"customFields":[],"flag":false`, "a title of 512 units, half of them emoji": "",
	} {
		id, _, _ := q.open(ctx, more)
		body := `{"title":"` + strings.Repeat("x", 256) + strings.Repeat("😀", 128) + `"}`
		if more != "" {
			body = `{"addTags":["` + strings.Repeat("x", 120) + `:\"y=z\"!!"]}`
		}
		got := q.me.ask(ctx, http.MethodPatch, "/case/"+id, body)
		q.judge(Question{Number: 11, Ask: "Is " + what + " taken?", Expected: "204", Got: strconv.Itoa(got.status), Means: "texts must be cut shorter"}, got.String())
	}
}

// byHand names what no request can ask.
func (q *conformance) byHand() {
	for ask, how := range map[string]string{
		"What does a locked account get?":                                 "lock the account while a worker runs: 401 is expected, and that the gate closes",
		"What happens while the index is stopped?":                        "stop Elasticsearch, let a detection open a case, start it: is the case found by its tag, and when? Where not, only the ledger knows it (P2)",
		"What happens when the storage stops in the middle of a request?": "stop Cassandra during fifty writes: which class has the 500, and what of the writes is there afterwards?",
		"What happens when the licence is over?":                          "let a licence of a test system end: 402 or 403, and that the gate closes",
	} {
		q.note(Question{Number: 12, Ask: ask, Got: how, State: ByHand})
	}
	maps.DeleteFunc(q.out.Quirks, func(_ string, v any) bool { return v == "" || v == false || v == int64(0) })
}
