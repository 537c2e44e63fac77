package prove

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/sourcegraph/conc/pool"

	"forager/cmd/worker/terminal"
	"forager/config"
	"forager/filebound"
)

// hive asks a TheHive over plain HTTP.
type hive struct {
	progress *terminal.Progress

	client *http.Client
	config config.Hive
	base   string
}

// Bounds of what is asked.
const (
	pageSize   = 1000
	mostAnswer = 256 << 20
	askWithin  = time.Minute
	atOnce     = 8
)

func newHive(c config.Hive) (*hive, error) {
	transport := &http.Transport{Proxy: http.ProxyFromEnvironment, MaxIdleConnsPerHost: atOnce, TLSClientConfig: &tls.Config{MinVersion: tls.VersionTLS12}}
	if c.Proxy != "" {
		through, err := url.Parse(c.Proxy)
		if err != nil {
			return nil, fmt.Errorf("hive.proxy: %w", err)
		}
		transport.Proxy = http.ProxyURL(through)
	}
	if err := trust(transport.TLSClientConfig, c.CAFile, c.CertFile, c.KeyFile); err != nil {
		return nil, err
	}
	return &hive{client: &http.Client{Transport: transport, Timeout: askWithin}, config: c, base: strings.TrimSuffix(c.URL, "/") + "/api/v1/"}, nil
}

// trust sets whom a connection trusts, and as whom it shows itself.
func trust(t *tls.Config, ca, cert, key string) error {
	const most = 1 << 20
	if ca != "" {
		raw, err := filebound.Read(ca, most)
		if err != nil {
			return fmt.Errorf("certificates: %w", err)
		}
		t.RootCAs = x509.NewCertPool()
		if !t.RootCAs.AppendCertsFromPEM(raw) {
			return fmt.Errorf("certificates: %s has none", ca)
		}
	}
	if cert == "" {
		return nil
	}
	certificate, err := filebound.Read(cert, most)
	if err != nil {
		return fmt.Errorf("certificates: %w", err)
	}
	secret, err := filebound.Read(key, most)
	if err != nil {
		return fmt.Errorf("certificates: %w", err)
	}
	pair, err := tls.X509KeyPair(certificate, secret)
	if err != nil {
		return fmt.Errorf("certificates: %w", err)
	}
	t.Certificates = []tls.Certificate{pair}
	return nil
}

// ask asks once, and again where TheHive asks for patience or a connection broke.
func (h *hive) ask(ctx context.Context, method, path string, body, into any) error {
	raw, err := json.Marshal(body)
	if err != nil {
		return fmt.Errorf("ask TheHive: %w", err)
	}
	for try := range 4 {
		var again bool
		if again, err = h.once(ctx, method, path, raw, into); err == nil || !again {
			return err
		}
		pause := time.NewTimer(time.Duration(1<<try) * 250 * time.Millisecond)
		select {
		case <-ctx.Done():
			pause.Stop()
			return fmt.Errorf("ask TheHive: %w", ctx.Err())
		case <-pause.C:
		}
	}
	return err
}

func (h *hive) once(ctx context.Context, method, path string, raw []byte, into any) (again bool, err error) {
	r, err := http.NewRequestWithContext(ctx, method, h.base+path, bytes.NewReader(raw))
	if err != nil {
		return false, fmt.Errorf("ask TheHive: %w", err)
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("User-Agent", "forager-prove")
	if key := h.config.APIKey.Reveal(); key != "" {
		r.Header.Set("Authorization", "Bearer "+key)
	} else {
		r.SetBasicAuth(h.config.User, h.config.Password.Reveal())
	}
	if h.config.Organisation != "" {
		r.Header.Set("X-Organisation", h.config.Organisation)
	}
	answer, err := h.client.Do(r)
	if err != nil {
		return true, fmt.Errorf("ask TheHive: %w", err)
	}
	defer func() { _ = answer.Body.Close() }()
	text, err := io.ReadAll(io.LimitReader(answer.Body, mostAnswer))
	if err != nil {
		return true, fmt.Errorf("ask TheHive: %w", err)
	}
	if answer.StatusCode/100 != 2 {
		again = answer.StatusCode == http.StatusTooManyRequests || answer.StatusCode >= http.StatusInternalServerError
		return again, fmt.Errorf("ask TheHive: %s %s: %s", method, path, answer.Status)
	}
	if err := json.Unmarshal(text, into); err != nil {
		return false, fmt.Errorf("ask TheHive: %w", err)
	}
	return false, nil
}

// query asks for all of a list, page by page.
func query[T any](ctx context.Context, h *hive, steps ...map[string]any) (all []T, err error) {
	for from := 0; ; from += pageSize {
		var page []T
		asked := map[string]any{"query": append(slices.Clip(steps), map[string]any{"_name": "page", "from": from, "to": from + pageSize})}
		if err := h.ask(ctx, http.MethodPost, "query", asked, &page); err != nil {
			return nil, err
		}
		if all = append(all, page...); len(page) < pageSize {
			return all, nil
		}
	}
}

// theCase is a case as TheHive tells of it, or an alert in a route's queue.
type theCase struct {
	ID          string   `json:"_id"`
	By          string   `json:"_createdBy"`
	Number      int      `json:"number"`
	Title       string   `json:"title"`
	Description string   `json:"description"`
	Start       int64    `json:"startDate"`
	Tags        []string `json:"tags"`

	observables []observable
	procedures  []procedure
	comments    []comment
	pages       []page

	values  map[string]bool // folded data of observables
	ids     map[string]bool // that it names
	limited bool            // it says that something was left out
	removed removed
	alert   string // of an alert, its type, source and reference
}

// said is what is found about it: an alert has no number by which a fault could name it.
func (c *theCase) said(what string) string {
	if c.alert == "" {
		return what
	}
	return "alert " + c.alert + ": " + what
}

type observable struct {
	By   string `json:"_createdBy"`
	Type string `json:"dataType"`
	Data string `json:"data"`
}

type procedure struct {
	By      string `json:"_createdBy"`
	Pattern string `json:"patternId"`
	Tactic  string `json:"tactic"`
	At      int64  `json:"occurDate"`
}

type comment struct {
	By      string `json:"createdBy"`
	Message string `json:"message"`
}

type page struct {
	Title    string `json:"title"`
	Category string `json:"category"`
	Content  string `json:"content"`
}

// cases reads all cases of Forager's, with what is in them.
func (h *hive) cases(ctx context.Context) ([]*theCase, error) {
	all, err := query[*theCase](ctx, h, map[string]any{"_name": "listCase"}, map[string]any{"_name": "sort", "_fields": []any{map[string]string{"number": "asc"}}})
	if err != nil {
		return nil, err
	}
	all = slices.DeleteFunc(all, func(c *theCase) bool {
		return !slices.ContainsFunc(c.Tags, func(t string) bool { return strings.HasPrefix(t, "forager:") }) && !strings.Contains(c.Description, "\n`forager: ")
	})
	return all, h.fillAll(ctx, all)
}

// alerts reads the alerts that routes put into the analysts' queue. Those by which detections come into cases (type "forager") are no
// place of their own.
func (h *hive) alerts(ctx context.Context) (all []*theCase, err error) {
	type theAlert struct {
		theCase

		Type   string `json:"type"`
		Source string `json:"source"`
		Ref    string `json:"sourceRef"`
		Date   int64  `json:"date"`
	}
	found, err := query[*theAlert](ctx, h, map[string]any{"_name": "listAlert"}, map[string]any{"_name": "sort", "_fields": []any{map[string]string{"_createdAt": "asc"}}})
	if err != nil {
		return nil, err
	}
	for _, a := range found {
		if a.Type == "forager" || !slices.ContainsFunc(a.Tags, keyTag.MatchString) {
			continue
		}
		a.alert, a.Start = a.Type+"/"+a.Source+"/"+a.Ref, a.Date
		all = append(all, &a.theCase)
	}
	return all, h.fillAll(ctx, all)
}

func (h *hive) fillAll(ctx context.Context, all []*theCase) error {
	h.progress.Step("reading cases and alerts", uint64(len(all)))
	asking := pool.New().WithErrors().WithMaxGoroutines(atOnce).WithContext(ctx).WithCancelOnError()
	for _, c := range all {
		asking.Go(func(ctx context.Context) error { return h.fill(ctx, c) })
	}
	return asking.Wait()
}

// fill reads what is in a case or an alert.
func (h *hive) fill(ctx context.Context, c *theCase) (err error) {
	first := "getCase"
	if c.alert != "" {
		first = "getAlert"
	}
	of := func(part string) []map[string]any {
		return []map[string]any{{"_name": first, "idOrName": c.ID}, {"_name": part}}
	}
	var failed [4]error
	c.observables, failed[0] = query[observable](ctx, h, of("observables")...)
	c.procedures, failed[1] = query[procedure](ctx, h, of("procedures")...)
	c.comments, failed[2] = query[comment](ctx, h, of("comments")...)
	if c.alert == "" {
		c.pages, failed[3] = query[page](ctx, h, of("pages")...)
	}
	if err := errors.Join(failed[:]...); err != nil {
		return err
	}
	c.index()
	h.progress.More()
	return nil
}

var (
	markers  = regexp.MustCompile("(?m)^`forager: (rule|change)=([^ `]+) day=([0-9-]+) ids=([^` ]*)`\\s*$")
	leftOut  = regexp.MustCompile(`(?i)left out|over the limit|forager:over-limit|at a limit`)
	lastCell = regexp.MustCompile(`\| *([^|]*?) *\|\s*$`)
	codeSpan = regexp.MustCompile("`+ ?(.+?) ?`+")
)

// ownTitle is that of the page that Forager keeps.
const ownTitle = "Detections"

// index gathers what is looked for.
func (c *theCase) index() {
	c.values, c.ids = map[string]bool{}, map[string]bool{}
	for _, o := range c.observables {
		c.values[folded(o.Data)] = true
	}
	texts := []string{c.Description}
	for _, m := range c.comments {
		texts = append(texts, m.Message)
	}
	for _, text := range texts {
		for _, m := range markers.FindAllStringSubmatch(text, -1) {
			for id := range strings.SplitSeq(m[4], ",") {
				c.ids[id] = true
			}
		}
		c.limited = c.limited || leftOut.MatchString(text)
	}
	for _, p := range c.pages {
		if p.Title != ownTitle {
			continue
		}
		c.limited = c.limited || leftOut.MatchString(p.Content)
		for _, id := range idsOf(p.Content) {
			c.ids[id] = true
		}
	}
	delete(c.ids, "")
}

// idsOf are the ids in a page's tables: the last cell of each row below a head that ends with one of that name.
func idsOf(content string) (ids []string) {
	below := false
	for text := range strings.Lines(content) {
		cell := lastCell.FindStringSubmatch(text)
		switch {
		case cell == nil:
			below = false
		case cell[1] == "Id":
			below = true
		case below && codeSpan.MatchString(cell[1]):
			ids = append(ids, codeSpan.FindStringSubmatch(cell[1])[1])
		case below && !strings.HasPrefix(cell[1], "---"):
			ids = append(ids, cell[1])
		}
	}
	return ids
}

// login is whose account the configuration has.
func (h *hive) login(ctx context.Context) (string, error) {
	var user struct {
		Login string `json:"login"`
	}
	err := h.ask(ctx, http.MethodGet, "user/current", nil, &user)
	return user.Login, err
}

// patterns are the techniques that TheHive holds.
func (h *hive) patterns(ctx context.Context) (map[string]bool, error) {
	all, err := query[struct {
		ID string `json:"patternId"`
	}](ctx, h, map[string]any{"_name": "listPattern"})
	held := map[string]bool{}
	for _, p := range all {
		held[p.ID] = true
	}
	return held, err
}
