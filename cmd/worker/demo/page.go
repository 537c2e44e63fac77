package demo

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/yuin/goldmark"
	"github.com/yuin/goldmark/extension"
	g "maragu.dev/gomponents"
	h "maragu.dev/gomponents/html"

	"forager/cmd/worker/page"
	"forager/cmd/worker/service"
	"forager/cmd/worker/shell"
	"forager/enrich"
	"forager/hive/hivetest"
	"forager/pipeline"
)

// hostPort refuses what no server can listen at.
func hostPort(addr string) error {
	if _, _, err := net.SplitHostPort(addr); err != nil {
		return fmt.Errorf("--addr: %s is no address: expected HOST:PORT", shell.Shown(addr))
	}
	return nil
}

// listenPage takes the address of the page before anything is shown: one that is taken should not
// end a demonstration that went well.
func listenPage(ctx context.Context, addr string) (net.Listener, error) {
	var config net.ListenConfig
	l, err := config.Listen(ctx, "tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("demo: --addr: %w", err)
	}
	return l, nil
}

// stay shows the page until it is told to end. The worker keeps working: what is published to the embedded server in
// the meantime appears.
func (s *stage) stay(ctx context.Context, sh *shell.Shell, l net.Listener, how *demoCmd) error {
	server := &http.Server{Handler: s.pages(), ReadHeaderTimeout: 5 * time.Second, WriteTimeout: 30 * time.Second}
	var serving pipeline.Tasks
	serving.Go("serve", func() { _ = server.Serve(l) }) // ends when it is closed, and not before
	sh.Say("the page: http://%s/, the cases: http://%s/cases/", l.Addr(), l.Addr())
	sh.Say("NATS listens at %s (stream DEMO, publish to demo.anything)", s.nats.URL())
	sh.Say("TheHive is simulated at %s, API key %s", s.server.URL(), hivetest.DefaultAPIKey)
	if len(how.Files) == 0 {
		s.goOn(ctx, sh, how)
	}
	<-ctx.Done()
	err := server.Close()
	_ = serving.Wait() // a panic has ended the process
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return err
}

// pages are the worker's own page, and the cases of the simulated TheHive as an analyst sees them.
func (s *stage) pages() http.Handler {
	links := []page.Link{{Name: "Cases", Path: "cases/"}}
	own := s.service.Page(s.config, service.PageOptions{
		Notice:  "A demonstration: NATS and TheHive run in this process, and nothing here is real.",
		Links:   links,
		CaseURL: func(l enrich.Landing) string { return "/cases/" + strconv.Itoa(l.Number) },
	})
	o := page.Options{Links: links}
	mux := http.NewServeMux()
	mux.Handle("/", own)
	mux.Handle("GET /cases/{$}", page.Guarded(o, func(w http.ResponseWriter, _ *http.Request) {
		page.Send(w, http.StatusOK, page.Document(o, "../", "Cases", caseList(s.hive.Snapshot().Cases)))
	}))
	mux.Handle("GET /cases/{number}", page.Guarded(o, func(w http.ResponseWriter, r *http.Request) {
		for _, c := range s.hive.Snapshot().Cases {
			if strconv.FormatInt(c.Number, 10) == r.PathValue("number") {
				page.Send(w, http.StatusOK, page.Document(o, "../", "Case #"+strconv.FormatInt(c.Number, 10), caseShown(c)))
				return
			}
		}
		http.NotFound(w, r)
	}))
	return mux
}

// caseList are all cases, the newest first.
func caseList(all []hivetest.Case) g.Node {
	all = slices.Clone(all)
	slices.Reverse(all)
	rows := [][]g.Node{}
	for _, c := range all {
		r := rowOf(c)
		rows = append(rows, []g.Node{link(c.Number), g.Text(r.Severity), g.Text(r.Title), g.Text(r.Host), g.Text(strconv.Itoa(r.Observables)), g.Text(r.Procedures)})
	}
	return page.Table("Cases in the simulated TheHive", []string{"Case", "Severity", "Title", "Host", "Observables", "Procedures"}, rows)
}

func link(number int64) g.Node {
	n := strconv.FormatInt(number, 10)
	return h.A(h.Href(n), g.Text("#"+n))
}

// caseShown is a case as an analyst sees it.
func caseShown(c hivetest.Case) g.Node {
	observables, procedures := [][]g.Node{}, [][]g.Node{}
	for _, o := range c.Observables {
		data := o.Data
		if data == "" {
			data = o.File.Name
		}
		observables = append(observables, []g.Node{g.Text(o.DataType), g.Text(data), g.Text(strings.Join(o.Tags, ", "))})
	}
	for _, p := range c.Procedures {
		procedures = append(procedures, []g.Node{g.Text(p.PatternID), g.Text(p.Tactic), g.Text(time.UnixMilli(p.OccurDate).UTC().Format(time.DateTime)), rendered(p.Description)})
	}
	return g.Group{
		h.H2(g.Text(c.Title)),
		h.P(g.Text(fmt.Sprintf("Severity %s, TLP %d, PAP %d, %s; tags: %s", rowOf(c).Severity, c.TLP, c.PAP, c.Status, strings.Join(c.Tags, ", ")))),
		part("Description", rendered(c.Description)),
		g.Map(c.Pages, func(p hivetest.Page) g.Node { return part("Page: "+p.Title, rendered(p.Content)) }),
		g.If(len(c.Comments) > 0, part("Comments", g.Map(c.Comments, rendered))),
		part("Procedures", page.Table("Procedures", []string{"Technique", "Tactic", "Occurred", "Description"}, procedures)),
		part("Observables", page.Table("Observables", []string{"Type", "Value", "Tags"}, observables)),
	}
}

func part(name string, of g.Node) g.Node { return h.Section(h.H3(g.Text(name)), of) }

// rendered is Markdown as a browser shows it. HTML in it stays text, and addresses with a scheme of no web are left out:
// goldmark does so unless it is told otherwise.
func rendered(markdown string) g.Node {
	var b bytes.Buffer
	if err := goldmark.New(goldmark.WithExtensions(extension.GFM)).Convert([]byte(markdown), &b); err != nil {
		return h.Pre(g.Text(markdown))
	}
	return h.Div(h.Class("rendered"), g.Raw(b.String()))
}
