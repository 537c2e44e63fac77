package hivetest

import (
	"net/http"
	"slices"
	"strings"
)

// session is TheHive's cookie.
const session = "THEHIVE-SESSION"

// authenticate finds out who calls, and for which organisation.
func (c *call) authenticate(m *Misbehaviour) error {
	if c.route != nil && c.route.open {
		return nil
	}
	if m.ExpiredKey {
		return unauthorised()
	}
	c.h.mu.RLock()
	defer c.h.mu.RUnlock()
	c.user = c.h.store.caller(c.r)
	if c.user == nil || c.user.doc.flag("locked") {
		return unauthorised()
	}
	return c.enter(c.r.Header.Get("X-Organisation"))
}

// enter sets the caller's organisation: the one asked for by name or id, else the default one.
func (c *call) enter(asked string) error {
	s := c.h.store
	login := c.user.doc.text("login")
	for _, m := range memberships(c.user.doc) {
		org := s.byID[m.org]
		if org == nil {
			continue
		}
		name := org.doc.text("name")
		wanted := asked == name || asked == m.org || asked == "" && m.preset
		if !wanted {
			continue
		}
		c.viewer = viewer{login: login, org: name, orgID: m.org, profile: m.profile, permissions: s.permissions(m.profile)}
		c.log.User, c.log.Organisation = login, name
		return nil
	}
	return &problem{
		status: http.StatusForbidden, Type: "AuthorizationError",
		Text: "User " + login + " is not in organisation " + asked,
	}
}

// caller finds the user by key, password or cookie; nil: nobody.
func (s *store) caller(r *http.Request) *entry {
	if login, password, ok := r.BasicAuth(); ok {
		if got, known := s.secrets[login]; known && got.password != "" && got.password == password {
			return s.byName[s.nameKey(userKind, "", login)]
		}
		return nil
	}
	if key, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer "); ok {
		return s.byName[s.nameKey(userKind, "", s.keys[key])]
	}
	if cookie, err := r.Cookie(session); err == nil {
		return s.byName[s.nameKey(userKind, "", s.cookies[cookie.Value])]
	}
	return nil
}

func (s *store) permissions(profile string) []string {
	if e := s.byName[s.nameKey(profileKind, "", profile)]; e != nil {
		return e.doc.list("permissions")
	}
	return []string{}
}

// member is a user's place in an organisation, kept by the organisation's id since that never changes.
type member struct {
	org, name, profile string
	permissions        []string
	preset             bool
}

func memberships(d *doc) []member {
	m, _ := d.get("memberships").([]member)
	return m
}

func (s *store) setKey(login, key string) {
	old := s.secrets[login]
	delete(s.keys, old.key)
	old.key = key
	s.secrets[login] = old
	if key != "" {
		s.keys[key] = login
	}
}

func (s *store) setPassword(login, password string) {
	old := s.secrets[login]
	old.password = password
	s.secrets[login] = old
}

func renderUser(o *jsonObject, d *doc, v viewer) {
	members := memberships(d)
	at := slices.IndexFunc(members, func(m member) bool { return m.org == v.orgID })
	if at < 0 {
		at = slices.IndexFunc(members, func(m member) bool { return m.preset })
	}
	var here member
	if at >= 0 {
		here = members[at]
	}
	o.any("hasMFA", false)
	o.text("profile", here.profile)
	o.any("permissions", here.permissions)
	o.text("organisation", here.name)
	list := make([]map[string]any, 0, len(members))
	for _, m := range members {
		list = append(list, map[string]any{
			"organisationId": m.org, "organisation": m.name, "profile": m.profile, "links": []any{},
		})
	}
	o.any("organisations", list)
}
