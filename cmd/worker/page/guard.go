package page

import (
	"crypto/sha256"
	"crypto/subtle"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
)

// Credentials are what a viewer must show; without any, everybody may look, or this host alone ([Options].Near).
type Credentials struct {
	User, Password string // Basic
	Token          string // Bearer; a browser sends it as the password of any user
}

// guard lets those through who may look.
type guard struct {
	hosts []string // names by which the page is asked for, besides those that nobody outside can own
	asks  func() Credentials
	near  bool // without credentials this host alone may look
	next  http.Handler
}

// ServeHTTP refuses names that anybody may point here, other sites, and whoever shows no credentials.
func (g guard) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	secure(w.Header())
	switch {
	case !g.named(r.Host):
		refuse(w, http.StatusMisdirectedRequest, "This name is none of this worker: ask by address, or add the name to ops.hosts.")
	case r.Header.Get("Sec-Fetch-Site") == "cross-site" && r.Header.Get("Sec-Fetch-Mode") != "navigate":
		refuse(w, http.StatusForbidden, "Other sites may link here, and no more.")
	default:
		g.known(w, r)
	}
}

// known lets those through who show credentials or, where there are none, need none.
func (g guard) known(w http.ResponseWriter, r *http.Request) {
	c := g.asks()
	switch {
	case !c.shown(r):
		w.Header().Set("WWW-Authenticate", c.challenge())
		refuse(w, http.StatusUnauthorized, "Credentials are needed: see ops.user and ops.token.")
	case c == (Credentials{}) && g.near && !fromHere(r):
		refuse(w, http.StatusForbidden, "Without credentials the page is shown to its own host alone: set ops.tokenFile or ops.user, or come by kubectl port-forward or ssh -L.")
	default:
		g.next.ServeHTTP(w, r)
	}
}

// fromHere tells whether somebody on this host asks. A proxy on it asks for others, and says so.
func fromHere(r *http.Request) bool {
	from, err := netip.ParseAddrPort(r.RemoteAddr)
	return err == nil && from.Addr().Unmap().IsLoopback() &&
		r.Header.Get("X-Forwarded-For") == "" && r.Header.Get("X-Real-Ip") == "" && r.Header.Get("Forwarded") == "" && r.Header.Get("Via") == ""
}

func refuse(w http.ResponseWriter, status int, why string) {
	http.Error(w, why, status)
}

// secure says what a browser must not do with an answer.
func secure(h http.Header) {
	h.Set("Content-Security-Policy", "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("X-Frame-Options", "DENY")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Cache-Control", "no-store")
}

// inside are the ends of names that no public name server answers for: no stranger can point one here.
var inside = [...]string{".localhost", ".svc", ".cluster.local", ".internal", ".local", ".test", ".home.arpa"}

// named tells whether a stranger could not have made a browser ask by this name. With DNS rebinding the name is the
// stranger's own; an address, a name without a dot or with an ending of a network's own, is not.
func (g guard) named(host string) bool {
	name, _, err := net.SplitHostPort(host)
	if err != nil {
		name = host
	}
	name = strings.ToLower(strings.TrimSuffix(strings.Trim(name, "[]"), "."))
	if _, err := netip.ParseAddr(name); err == nil {
		return true
	}
	if name == "" {
		return false
	}
	return !strings.Contains(name, ".") || slices.Contains(g.hosts, name) ||
		slices.ContainsFunc(inside[:], func(end string) bool { return strings.HasSuffix(name, end) })
}

// shown tells whether a request has the credentials, taking the same time for wrong ones.
func (c Credentials) shown(r *http.Request) bool {
	if c == (Credentials{}) {
		return true
	}
	user, password, basic := r.BasicAuth()
	token, bearer := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	ok := 0
	if c.User != "" && basic {
		ok |= same(user, c.User) & same(password, c.Password)
	}
	if c.Token != "" && bearer {
		ok |= same(token, c.Token)
	}
	if c.Token != "" && basic {
		ok |= same(password, c.Token)
	}
	return ok == 1
}

// challenge makes a browser ask for them.
func (c Credentials) challenge() string { return `Basic realm="Forager", charset="UTF-8"` }

// same compares in a time that tells nothing.
func same(a, b string) int {
	x, y := sha256.Sum256([]byte(a)), sha256.Sum256([]byte(b))
	return subtle.ConstantTimeCompare(x[:], y[:])
}
