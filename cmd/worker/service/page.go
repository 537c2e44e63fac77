package service

import (
	"context"
	"iter"
	"net/http"
	"slices"
	"strings"

	"go.uber.org/zap"

	"forager/cmd/worker/explanation"
	"forager/cmd/worker/page"
	"forager/cmd/worker/shell"
	"forager/cmd/worker/view"
	"forager/config"
	"forager/enrich"
	"forager/enrich/detection"
	"forager/hive"
	"forager/pipeline/stream"
)

// PageOptions are what a page has besides what the configuration says.
type PageOptions struct {
	Notice  string // stands at its top
	Links   []page.Link
	Near    bool                        // without credentials only this host is answered
	CaseURL func(enrich.Landing) string // where a case is looked at; nil is TheHive
}

// Page serves the page at / and below /page/; nil where the configuration turns it off. It is called once, before
// the service runs.
func (s *Service) Page(c *config.Config, o PageOptions) http.Handler {
	if s.history == nil {
		return nil
	}
	if o.CaseURL == nil {
		o.CaseURL = func(l enrich.Landing) string {
			return strings.TrimSuffix(c.Hive.URL, "/") + "/cases/" + l.ID + "/details"
		}
	}
	s.view = view.New(view.Options{
		History: s.history, Worker: s,
		InFlight: s.parts.clients.throttle.InFlight, Limit: s.parts.clients.throttle.Limit, Most: c.Hive.Concurrency,
		Connect: func(ctx context.Context) (*stream.Link, error) {
			return stream.Connect(ctx, Connection(c, zap.NewNop()), nil)
		},
		Topology: PipelineOptions(c, zap.NewNop()).Streams(), Procedures: s.procedures, Explain: s.explain(c), Catalogue: s.parts.catalogue,
		CaseURL: o.CaseURL, Rollbacks: func() int { return len(s.rollbacks.Stands()) }, Replica: workerName(), Version: shell.Version(),
	})
	return page.Handler(s.view, page.Options{Hosts: lower(c.Ops.Hosts), Credentials: pageCredentials(c, s.log), Near: o.Near, Notice: o.Notice, Links: o.Links})
}

// opsPage is the page as the operations server shows it.
func (s *Service) opsPage(c *config.Config) http.Handler { return s.Page(c, PageOptions{Near: true}) }

// Held is how many messages are in hand.
func (s *Service) Held() (messages, bytes int) { return s.worker.Held() }

// procedures are those of all organisations that are served, one after the other.
func (s *Service) procedures(ctx context.Context, q hive.Query) iter.Seq2[hive.Procedure, error] {
	return func(yield func(hive.Procedure, error) bool) {
		for _, client := range append([]*hive.Client{s.parts.clients.own}, s.parts.clients.elsewhere()...) {
			for p, err := range client.Procedures(ctx, q) {
				if !yield(p, err) || err != nil {
					return
				}
			}
		}
	}
}

// explain says what a message would become by the rules that are in force.
func (s *Service) explain(c *config.Config) func(name string, m detection.Message, from enrich.Origin) []explanation.Line {
	return func(name string, m detection.Message, from enrich.Origin) []explanation.Line {
		now := s.live.now.Load()
		x := explanation.Explainer{Decoder: now.decoder.Explaining(), Planner: now.planner, Most: int(c.Pipeline.MaxMessageBytes), Texts: true, Related: c.Case.Related}
		if now.asking != nil {
			now.asking.mu.Lock()
			defer now.asking.mu.Unlock()
			x.Planner, x.Asked = now.asking.planner, now.asking.asked
		}
		lines, _ := x.Explain(name, m, from) // its error is in the lines
		return lines
	}
}

// asked takes what was asked since it was called last.
func (a *asking) asked() (all []explanation.Lookup) {
	for _, answer := range a.notes.Take() {
		all = append(all, explanation.Lookup(answer))
	}
	return all
}

// pageCredentials are what a viewer must show, as the files have them now.
func pageCredentials(c *config.Config, log *zap.Logger) func() page.Credentials {
	password := newRotating("ops.passwordFile", c.Ops.PasswordFile, c.Ops.Password, log)
	token := newRotating("ops.tokenFile", c.Ops.TokenFile, c.Ops.Token, log)
	return func() page.Credentials {
		return page.Credentials{User: c.Ops.User, Password: password.text(), Token: token.text()}
	}
}

func lower(names []string) []string {
	all := slices.Clone(names)
	for i := range all {
		all[i] = strings.ToLower(strings.TrimSuffix(all[i], "."))
	}
	return all
}
