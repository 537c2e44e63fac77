package hivetest

import (
	"net/http"
	"slices"
	"strconv"
	"strings"
)

var userRoutes = []route{
	{method: "POST", template: "/api/v1/login", form: jsonBody, open: true, run: login},
	{method: "POST", template: "/api/v1/logout", open: true, run: logout},
	{method: "GET", template: "/api/v1/logout", open: true, run: logout},
	{method: "POST", template: "/api/v1/user", form: jsonBody, permission: "manageUser", run: createUser},
	{method: "GET", template: "/api/v1/user/{id}", run: needs(userKind, showEntry)},
	{method: "PATCH", template: "/api/v1/user/{id}", form: jsonBody, run: patch(userKind, updateUser)},
	{method: "DELETE", template: "/api/v1/user/{id}", permission: "manageUser", run: needs(userKind, lockUser)},
	{method: "DELETE", template: "/api/v1/user/{id}/force", permission: "manageUser", run: needs(userKind, deleteUser)},
	{method: "PUT", template: "/api/v1/user/{id}/organisations", form: jsonBody, permission: "manageUser", run: needs(userKind, setOrganisations)},
	{method: "POST", template: "/api/v1/user/{id}/password/set", form: jsonBody, permission: "manageUser", run: needs(userKind, setPassword)},
	{method: "POST", template: "/api/v1/user/{id}/password/change", form: jsonBody, run: needs(userKind, changePassword)},
	{method: "POST", template: "/api/v1/user/{id}/key/renew", run: needs(userKind, renewKey)},
	{method: "GET", template: "/api/v1/user/{id}/key", run: needs(userKind, showKey)},
	{method: "DELETE", template: "/api/v1/user/{id}/key", run: needs(userKind, deleteKey)},
	{method: "POST", template: "/api/v1/organisation", form: eitherOne, permission: "manageOrganisation", run: createOrganisation},
	{method: "GET", template: "/api/v1/organisation/{id}", run: needs(organisationKind, showEntry)},
	{method: "PATCH", template: "/api/v1/organisation/{id}", form: jsonBody, permission: "manageOrganisation", run: patch(organisationKind, renameMembers)},
}

func login(c *call) (reply, error) {
	name, _ := c.body["user"].(string)
	password, _ := c.body["password"].(string)
	s := c.h.store
	got, known := s.secrets[name]
	if !known || got.password == "" || got.password != password || c.h.fault.Load().ExpiredKey {
		return reply{}, unauthorised()
	}
	c.user = s.lookup(userKind, "", name)
	org, _ := c.body["organisation"].(string)
	if err := c.enter(org); err != nil {
		return reply{}, err
	}
	s.next += 8
	value := "session-" + strconv.FormatInt(s.next, 36)
	s.cookies[value] = name
	out := show1(http.StatusOK, c.user.doc)
	out.header = http.Header{"Set-Cookie": {session + "=" + value + "; Path=/; HttpOnly"}}
	return out, nil
}

func logout(c *call) (reply, error) {
	if cookie, err := c.r.Cookie(session); err == nil && !c.route.reads {
		delete(c.h.store.cookies, cookie.Value)
	}
	return reply{status: http.StatusOK}, nil
}

// createUser adds an account. A login that exists is answered as it is: TheHive does not complain.
func createUser(c *call) (reply, error) {
	values, err := c.decode(userKind, creating)
	if err != nil {
		return reply{}, err
	}
	name := values["login"].(string)
	if at := strings.LastIndexByte(name, '@'); at < 1 || at == len(name)-1 {
		return reply{}, invalid("login", name, "login")
	}
	if old := c.h.store.lookup(userKind, "", name); old != nil {
		return show1(http.StatusCreated, old.doc), nil
	}
	org, given := values["organisation"].(string)
	if !given {
		org = c.viewer.org
	}
	if _, err := c.get(organisationKind, org); err != nil {
		return reply{}, err
	}
	profile := values["profile"].(string)
	if _, err := c.get(profileKind, profile); err != nil {
		return reply{}, err
	}
	password, _ := values["password"].(string)
	e := c.h.store.enrol(User{
		Login: name, Name: values["name"].(string), Password: password, Memberships: []Membership{{org, profile}},
	}, c.stamp())
	if email, ok := values["email"].(string); ok {
		e.doc.set("email", email)
	}
	e.doc.set("type", values["type"])
	return show1(http.StatusCreated, e.doc), nil
}

// mine refuses changes of other people's accounts to those who do not manage users.
func (c *call) mine(e *entry) error {
	if e == c.user || c.viewer.may("manageUser") {
		return nil
	}
	return forbidden(c.route.name(), "manageUser")
}

func updateUser(c *call, e *entry, values map[string]any) error {
	if err := c.mine(e); err != nil {
		return err
	}
	if profile, ok := values["profile"].(string); ok {
		if _, err := c.get(profileKind, profile); err != nil {
			return err
		}
		members := slices.Clone(memberships(e.doc))
		for i, m := range members {
			if m.org == c.viewer.orgID {
				members[i].profile, members[i].permissions = profile, c.h.store.permissions(profile)
			}
		}
		values["memberships"] = members
	}
	if org, ok := values["defaultOrganisation"].(string); ok {
		return prefer(e, values, org)
	}
	return nil
}

func prefer(e *entry, values map[string]any, org string) error {
	members := slices.Clone(memberships(e.doc))
	if !slices.ContainsFunc(members, func(m member) bool { return m.name == org }) {
		return notFound("Organisation %s not found", org)
	}
	for i := range members {
		members[i].preset = members[i].name == org
	}
	values["memberships"] = members
	return nil
}

func lockUser(c *call, e *entry) (reply, error) {
	c.update(e, map[string]any{"locked": true})
	return done(), nil
}

func deleteUser(c *call, e *entry) (reply, error) {
	if e == c.user {
		return reply{}, badRequest("You cannot remove yourself")
	}
	name := e.doc.text("login")
	c.h.store.setKey(name, "")
	delete(c.h.store.secrets, name)
	return deleteEntry(c, e)
}

// setOrganisations replaces a user's memberships, and echoes them.
func setOrganisations(c *call, e *entry) (reply, error) {
	var members []member
	sent, ok := c.body["organisations"].([]any)
	if !ok {
		return reply{}, missing("organisations")
	}
	for _, v := range sent {
		m, _ := v.(map[string]any)
		name, _ := m["organisation"].(string)
		profile, _ := m["profile"].(string)
		org, err := c.get(organisationKind, name)
		if err != nil {
			return reply{}, err
		}
		if _, err := c.get(profileKind, profile); err != nil {
			return reply{}, err
		}
		members = append(members, member{org.id, org.doc.text("name"), profile, c.h.store.permissions(profile), m["default"] == true})
	}
	if len(members) > 0 && !slices.ContainsFunc(members, func(m member) bool { return m.preset }) {
		members[0].preset = true
	}
	c.update(e, map[string]any{"memberships": members})
	out := make([]map[string]any, len(members))
	for i, m := range members {
		out[i] = map[string]any{"organisation": m.name, "profile": m.profile, "default": m.preset}
	}
	return reply{status: http.StatusOK, value: map[string]any{"organisations": out}}, nil
}

func setPassword(c *call, e *entry) (reply, error) {
	password, ok := c.body["password"].(string)
	if !ok || password == "" {
		return reply{}, missing("password")
	}
	c.h.store.setPassword(e.doc.text("login"), password)
	c.update(e, map[string]any{"hasPassword": true})
	return done(), nil
}

func changePassword(c *call, e *entry) (reply, error) {
	current, _ := c.body["currentPassword"].(string)
	if e != c.user || c.h.store.secrets[e.doc.text("login")].password != current {
		return reply{}, unauthorised()
	}
	return setPassword(c, e)
}

func renewKey(c *call, e *entry) (reply, error) {
	if err := c.mine(e); err != nil {
		return reply{}, err
	}
	c.h.store.next += 8
	key := "key-" + strconv.FormatInt(c.h.store.next, 36)
	c.h.store.setKey(e.doc.text("login"), key)
	c.update(e, map[string]any{"hasKey": true})
	return reply{status: http.StatusOK, raw: []byte(key), mime: "text/plain"}, nil
}

func showKey(c *call, e *entry) (reply, error) {
	if err := c.mine(e); err != nil {
		return reply{}, err
	}
	key := c.h.store.secrets[e.doc.text("login")].key
	if key == "" {
		return reply{}, notFound("User %s has no API key", e.doc.text("login"))
	}
	return reply{status: http.StatusOK, raw: []byte(key), mime: "text/plain"}, nil
}

func deleteKey(c *call, e *entry) (reply, error) {
	if err := c.mine(e); err != nil {
		return reply{}, err
	}
	c.h.store.setKey(e.doc.text("login"), "")
	c.update(e, map[string]any{"hasKey": false})
	return done(), nil
}

func createOrganisation(c *call) (reply, error) {
	return resource{kind: organisationKind, create: unchecked}.add(c)
}

// renameMembers carries an organisation's new name to what is labelled with the old one.
func renameMembers(c *call, e *entry, values map[string]any) error {
	name, ok := values["name"].(string)
	if !ok || name == e.doc.text("name") {
		return nil
	}
	if c.h.store.lookup(organisationKind, "", name) != nil {
		return createError("Organisation %s already exists", name)
	}
	c.h.store.renameOrganisation(e, name, c.stamp())
	return nil
}

func (s *store) renameOrganisation(org *entry, name string, st stamp) {
	old := org.doc.text("name")
	for u := range s.of(userKind).each {
		members := slices.Clone(memberships(u.doc))
		for i := range members {
			if members[i].org == org.id {
				members[i].name = name
			}
		}
		s.change(u, map[string]any{"memberships": members}, st)
	}
	for _, e := range s.byID {
		if e.org == old && old != "" {
			e.org = name
		}
	}
}

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
		c.viewer = viewer{login: login, org: name, orgID: m.org, profile: m.profile, permissions: s.permissions(m.profile), release: c.h.release}
		c.log.User, c.log.Organisation = login, name
		return nil
	}
	if c.h.quirks.ForeignOrganisation == http.StatusUnauthorized { // as TheHive 4 answers
		return unauthorised()
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

// Deny takes rights from everybody in one case, and in what belongs to it, as a share with a smaller profile
// does: a call that needs one is answered 403 ("Operation not permitted", as TheHive 4 does), and the case's
// userPermissions do not name it. The case is an id or a number; without rights it is as before. The
// account's own permissions stay. It reports whether there is such a case.
func (h *Hive) Deny(idOrNumber string, rights ...string) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	e := h.store.byID[idOrNumber]
	if e == nil {
		e = h.store.byName[h.store.nameKey(caseKind, "", idOrNumber)]
	}
	if e == nil || e.doc.kind != caseKind {
		return false
	}
	e.denied.Store(slices.Clone(rights)) // answers are written without the lock
	return true
}

// denies refuses a call that needs a right which lacks in the case it names, or in that of what it names.
// The lock is held.
func (c *call) denies() error {
	if c.route.permission == "" || len(c.args) == 0 {
		return nil
	}
	e := c.h.store.byID[c.args[0]]
	if e == nil {
		e, _ = c.lookup(caseKind, c.args[0])
	}
	if e == nil || !slices.Contains(append(c.sharedOut(e), e.root().lacks()...), c.route.permission) {
		return nil
	}
	return notPermitted()
}

// permitted are the caller's rights in a case.
func permitted(v viewer, d *doc) []string {
	if d.entry == nil || len(d.entry.lacks()) == 0 {
		return v.permissions
	}
	return slices.DeleteFunc(slices.Clone(v.permissions), func(p string) bool { return slices.Contains(d.entry.lacks(), p) })
}

// lacks are the rights that were taken in a case.
func (e *entry) lacks() []string {
	rights, _ := e.denied.Load().([]string)
	return rights
}
