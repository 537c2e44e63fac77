package check

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"forager/cmd/worker/service"
	"forager/cmd/worker/shell"
	"forager/config"
	"forager/hive"
	"forager/pipeline/inspect"
)

// dated notes by how much the server's clock is ahead of ours.
type dated struct {
	next http.RoundTripper

	mu    sync.Mutex
	known bool
	ahead time.Duration
}

// RoundTrip sends a request on.
func (d *dated) RoundTrip(r *http.Request) (*http.Response, error) {
	resp, err := d.next.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	if at, err := http.ParseTime(resp.Header.Get("Date")); err == nil {
		d.mu.Lock()
		d.known, d.ahead = true, time.Until(at)
		d.mu.Unlock()
	}
	return resp, nil
}

func (d *dated) difference() (time.Duration, bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.ahead.Round(time.Second), d.known
}

// hiveInspection gathers findings.
type hiveInspection struct {
	config *config.Config
	clock  *dated
	found  []inspect.Finding

	release [3]int // of TheHive; zero: not known
}

func (h *hiveInspection) add(level inspect.Level, about, what, why, remedy string) {
	h.found = append(h.found, inspect.Finding{Level: level, Server: inspect.ServerHive, About: about, What: what, Why: why, Remedy: remedy})
}

// client speaks for one organisation.
func (h *hiveInspection) client(organisation string) (*hive.Client, error) {
	o := service.HiveOptions(h.config)
	o.Organisation, o.Transport, o.Timeout = organisation, h.clock, min(o.Timeout, askWithin)
	return hive.New(o)
}

// inspectHive looks at TheHive for every organisation that the configuration names. It only reads.
func inspectHive(ctx context.Context, c *config.Config) ([]inspect.Finding, error) {
	transport, err := hive.NewTransport(service.HiveOptions(c))
	if err != nil {
		return nil, shell.Misuse(err)
	}
	defer transport.CloseIdleConnections()
	h := &hiveInspection{config: c, clock: &dated{next: transport}}
	own, err := h.client(c.Hive.Organisation)
	if err != nil {
		return nil, shell.Misuse(err)
	}
	if !h.server(ctx, own) {
		return h.found, nil
	}
	for i, organisation := range organisations(c) {
		client := own
		if i > 0 {
			if client, err = h.client(organisation); err != nil {
				return nil, shell.Misuse(err)
			}
		}
		if !h.account(ctx, client, organisation) {
			continue
		}
		h.rules(ctx, client, organisation)
		h.analyzers(ctx, client, organisation)
		if i == 0 {
			h.types(ctx, client)
			if err := h.attack(ctx, client); err != nil {
				return nil, err
			}
		}
	}
	return h.found, nil
}

// organisations are those that cases go to, the worker's own first.
func organisations(c *config.Config) []string {
	all := []string{c.Hive.Organisation}
	for _, r := range c.Routes {
		if r.Organisation != "" && !slices.Contains(all, r.Organisation) {
			all = append(all, r.Organisation)
		}
	}
	return all
}

// server looks whether this is a TheHive 5, and of which release. It is false when nothing more can
// be asked.
func (h *hiveInspection) server(ctx context.Context, client *hive.Client) bool {
	status, err := client.Status(ctx)
	if err != nil {
		h.unreachable(err)
		return false
	}
	const about = "TheHive"
	h.release = hiveVersion(status.Version)
	major, minor := h.release[0], h.release[1]
	if major != 5 {
		h.add(inspect.LevelBroken, about, "it is "+status.Version, "Forager speaks the API of TheHive 5", "upgrade TheHive")
		return false
	}
	h.add(inspect.LevelOK, about, "TheHive "+status.Version+" at "+h.config.Hive.URL, "", "")
	switch {
	case minor < 5:
		h.add(inspect.LevelHurts, about, "it is older than 5.5", "Forager is written against the API of 5.5 to 5.7: nobody knows what works", "upgrade to 5.5 or newer")
	case h.release != [3]int{} && slices.Compare(h.release[:], []int{5, 6, 3}) < 0:
		h.add(inspect.LevelNote, about, "it is older than 5.6.3", "a case's list of tasks may lack some; Forager believes no such list, a script of yours may", "upgrade to 5.6.3 or newer, where something relies on lists of tasks")
	case minor > 7:
		h.add(inspect.LevelNote, about, "it is newer than 5.7", "Forager is written against the API of 5.5 to 5.7", "try it on a test system first")
	}
	if most := h.config.Files.MaxBytes; most > uploadLimit {
		h.add(inspect.LevelNote, about, "files.maxBytes "+most.String()+" is above its default limit of uploads, 1 GB", "it answers 413 to larger files unless its limit was raised, which cannot be seen from here: their messages become dead letters",
			"raise play.http.parser.maxDiskBuffer in TheHive's configuration, or lower files.maxBytes")
	}
	h.licence(status.License, time.Now())
	if ahead, known := h.clock.difference(); known && ahead.Abs() > time.Minute {
		h.add(inspect.LevelNote, about, "its clock differs from this machine's by "+ahead.Abs().String(), "dates of cases and those of the logs do not fit together", "synchronise both with the same time servers")
	}
	return true
}

// uploadLimit is TheHive's own, where its configuration names none (play.http.parser.maxDiskBuffer).
const uploadLimit = 1_000_000_000

// hiveVersion reads "5.5.13-1", or "5.7"; zero is unknown. A third number that is none counts as 0.
func hiveVersion(version string) (release [3]int) {
	number, _, _ := strings.Cut(version, "-")
	for i, part := range strings.SplitN(number, ".", 3) {
		n, err := strconv.Atoi(part)
		switch {
		case err == nil:
			release[i] = n
		case i < 2:
			return [3]int{}
		}
	}
	return release
}

// licence looks whether writing is allowed, and for how long.
func (h *hiveInspection) licence(l hive.License, now time.Time) {
	const about, why = "TheHive", "without a licence in force TheHive only reads: nothing can be written to a case"
	if l == (hive.License{}) {
		return // it does not say
	}
	switch left := l.ExpiresAt.Time().Sub(now); {
	case !l.IsValid:
		h.add(inspect.LevelBroken, about, "its licence ("+l.Plan+") is not in force", why, "renew it in TheHive's platform management")
	case l.ExpiresAt > 0 && left < 30*24*time.Hour:
		h.add(inspect.LevelHurts, about, fmt.Sprintf("its licence (%s) ends on %s", l.Plan, l.ExpiresAt.Time().UTC().Format(time.DateOnly)), why, "renew it in TheHive's platform management")
	}
}

// unreachable says why TheHive cannot be asked, in words for where it is mended.
func (h *hiveInspection) unreachable(err error) {
	text := oneLine(err.Error())
	what, remedy := "no answer: "+text, "look whether hive.url names it, and whether the network lets through to it"
	failed, _ := errors.AsType[*hive.Error](err)
	_, dns := errors.AsType[*net.DNSError](err)
	_, unknown := errors.AsType[x509.UnknownAuthorityError](err)
	_, host := errors.AsType[x509.HostnameError](err)
	_, header := errors.AsType[tls.RecordHeaderError](err)
	switch {
	case dns:
		what, remedy = "its name has no address: "+text, "look at the host in hive.url"
	case errors.Is(err, syscall.ECONNREFUSED):
		what, remedy = "nobody listens there: "+text, "look whether TheHive runs, and at the port in hive.url"
	case unknown:
		what, remedy = "nobody we trust signed its certificate: "+text, "name the authority's file in hive.caFile"
	case host:
		what, remedy = "its certificate is for another name: "+text, "use a name of the certificate in hive.url"
	case header:
		what, remedy = "it does not speak TLS: "+text, "write http:// in hive.url, or put TLS in front of it"
	case failed != nil && failed.Verdict() == hive.Unauthenticated:
		what, remedy = "it refuses the credentials: "+text, "look at hive.apiKeyFile, or hive.user and hive.passwordFile: renew the key in TheHive"
	case failed != nil && failed.Foreign() && (failed.Status == http.StatusForbidden || failed.Status == http.StatusUnauthorized):
		what, remedy = "something in front of it refuses: "+text, "look at the proxy"
	case failed != nil && failed.Verdict() == hive.Denied:
		what, remedy = "it refuses the account: "+text, "look at the account and its organisations in TheHive, and at hive.organisation"
	case failed != nil && failed.Status == http.StatusNotFound, errors.Is(err, hive.ErrShape):
		what, remedy = "it is no TheHive: "+text, "look at the path in hive.url: it ends before /api"
	case failed != nil && failed.Status != 0:
		what, remedy = "it answers, and fails: "+text, "look at TheHive's log, and at that of the proxy in front of it"
	}
	h.add(inspect.LevelBroken, "TheHive", what, "a worker waits for it and carries nothing", remedy)
}

// oneLine makes an error fit for a line.
func oneLine(s string) string { return strings.Join(strings.Fields(s), " ") }

// A right is a permission of TheHive's profiles, and what needs it.
type right struct{ name, to string }

// always are the rights that every organisation's account needs. TheHive answers 403 without one of
// them, which stops everything for that organisation.
var always = []right{
	{"manageCase/create", "open cases"}, {"manageCase/update", "tag, raise and fill cases"}, {"manageObservable", "add observables and files"},
	{"manageProcedure", "record ATT&CK procedures"}, {"manageComment", "write comments"},
}

// aboutAccount is what findings about the account in an organisation are about.
func aboutAccount(organisation string) string {
	if organisation == "" {
		return "TheHive, the account's own organisation"
	}
	return "TheHive, organisation " + organisation
}

// account looks as whom we speak in an organisation, and what that may do there. It is false when
// nothing more can be asked.
func (h *hiveInspection) account(ctx context.Context, client *hive.Client, organisation string) bool {
	about := aboutAccount(organisation)
	user, err := client.CurrentUser(ctx)
	failed, _ := errors.AsType[*hive.Error](err)
	foreign := organisation != h.config.Hive.Organisation // the credentials are good, since they were for our own
	if failed != nil && organisation != "" && (failed.Verdict() == hive.Denied || foreign && failed.Verdict() == hive.Unauthenticated) {
		h.add(inspect.LevelBroken, about, "the account is no member of it: "+oneLine(err.Error()), "nothing can be carried there", "make the account a member, or change hive.organisation or the route")
		return false
	}
	if err != nil {
		h.unreachable(err)
		return false
	}
	if user.Locked {
		h.add(inspect.LevelBroken, about, "the account "+user.Login+" is locked", "nothing can be carried there", "unlock it")
		return false
	}
	var missing []string
	for _, r := range h.rights(organisation) {
		if !user.May(r.name) {
			missing = append(missing, r.name)
			h.add(inspect.LevelBroken, about, user.Login+" (profile "+user.Profile+") may not "+r.to, "TheHive answers 403, and the worker stops until it may", "give its profile the permission "+r.name)
		}
	}
	if h.config.Case.Digest == "page" && !user.May(pageRight.name) && !slices.Contains(missing, pageRight.name) {
		h.add(inspect.LevelNote, about, user.Login+" (profile "+user.Profile+") may not add pages", "a comment takes the place of the page that counts a case's detections", "give its profile the permission "+pageRight.name+", or set case.digest to comment")
	}
	h.reopening(user, organisation)
	h.alerting(user, organisation)
	h.queueing(user, organisation)
	if user.Type == "Normal" {
		h.add(inspect.LevelNote, about, user.Login+" is an account of the type Normal", "a case that an analyst restricts vanishes for it: what comes then goes into a new case; and the licence counts it",
			"give Forager an account of the type Service, which is said to see restricted cases")
	}
	if len(missing) == 0 {
		h.add(inspect.LevelOK, about, user.Login+" (profile "+user.Profile+" in "+user.Organisation+") may do everything that is needed", "", "")
	}
	return true
}

// reopenSince is the release that gave reopening a right of its own.
var reopenSince = []int{5, 2, 6}

// reopening looks whether the account may open closed cases again where routes want it.
func (h *hiveInspection) reopening(user hive.User, organisation string) {
	const right = "manageCase/reopen"
	if slices.Compare(h.release[:], reopenSince) < 0 || user.May(right) {
		return
	}
	var routes []string
	for _, r := range h.routes(organisation) {
		if cmp.Or(r.Closed, h.config.Case.Closed) == "reopen" {
			routes = append(routes, "route "+r.Name)
		}
	}
	if h.config.Case.Closed == "reopen" {
		routes = append(routes, "case.closed")
	}
	if len(routes) > 0 {
		h.add(inspect.LevelHurts, aboutAccount(organisation), user.Login+" (profile "+user.Profile+") may not reopen cases, and "+strings.Join(routes, ", ")+" wants it",
			"a detection after a case's end is added, the case stays closed, and its message becomes a dead letter", "give its profile the permission "+right)
	}
}

// queueing looks whether the account may do what routes that make alerts want.
func (h *hiveInspection) queueing(user hive.User, organisation string) {
	var routes []string
	for _, r := range h.routes(organisation) {
		if r.As == "alert" {
			routes = append(routes, "route "+r.Name)
		}
	}
	for _, r := range []struct{ right, what, why string }{
		{"manageAlert/create", "create alerts", "TheHive answers 403, and the worker stops until it may"},
		{"manageAlert/update", "change alerts", "what raises an alert's severity, or adds tags to it, becomes a dead letter after the rest was added"},
	} {
		if len(routes) > 0 && !user.May(r.right) {
			level := inspect.LevelHurts
			if r.right == "manageAlert/create" {
				level = inspect.LevelBroken
			}
			h.add(level, aboutAccount(organisation), user.Login+" (profile "+user.Profile+") may not "+r.what+", and "+strings.Join(routes, ", ")+" wants it (as: alert)",
				r.why, "give its profile the permission "+r.right)
		}
	}
}

// alerting looks whether the account may do what routes want by alert.
func (h *hiveInspection) alerting(user hive.User, organisation string) {
	about := aboutAccount(organisation)
	var routes []string
	for _, r := range h.routes(organisation) {
		if r.Via == "alert" {
			routes = append(routes, "route "+r.Name)
		}
	}
	if len(routes) == 0 {
		return
	}
	var lacks []string
	for _, right := range []string{"manageAlert/create", "manageAlert/import"} {
		if !user.May(right) {
			lacks = append(lacks, right)
		}
	}
	if len(lacks) > 0 {
		h.add(inspect.LevelHurts, about, user.Login+" (profile "+user.Profile+") may not create alerts and make cases of them, and "+strings.Join(routes, ", ")+" wants it (via: alert)",
			"its detections come into their cases in the direct way: more calls, and nothing lost", "give its profile the permission "+strings.Join(lacks, " and "))
	}
	h.add(inspect.LevelNote, about, strings.Join(routes, ", ")+" opens cases by alert", "what Forager relies on there (a name of an alert is taken once; a promoted alert brings its observables and techniques within hive.settle) is documented and was never seen on a real TheHive",
		"run check --connect --conform against this TheHive once, and compare a case with one that was opened in the direct way")
}

// rights are those that an organisation's cases need.
func (h *hiveInspection) rights(organisation string) []right {
	all := slices.Clone(always)
	for _, r := range h.routes(organisation) {
		if len(r.Case.Tasks) > 0 && !slices.Contains(all, taskRight) {
			all = append(all, taskRight)
		}
		if len(r.Case.Pages) > 0 && !slices.Contains(all, pageRight) {
			all = append(all, pageRight)
		}
	}
	return all
}

var (
	taskRight = right{"manageTask", "add the tasks that routes name"}
	pageRight = right{"managePage", "add the pages that routes name"}
)

// routes are those whose cases an organisation has.
func (h *hiveInspection) routes(organisation string) []config.Route {
	var all []config.Route
	for _, r := range h.config.Routes {
		if !r.Drop && (r.Organisation == organisation || r.Organisation == "" && organisation == h.config.Hive.Organisation) {
			all = append(all, r)
		}
	}
	return all
}
