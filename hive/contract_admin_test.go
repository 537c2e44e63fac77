package hive_test

import (
	"errors"
	"strings"
	"testing"

	"forager/hive"
	"forager/hive/admin"
	"forager/hive/connector"
	"forager/hive/hivetest"
)

// TestContractOfAdministration sets a tenant of the simulator up and takes it down again, each exchange held
// against the descriptions. It is not run on a real TheHive, whose users are people.
func TestContractOfAdministration(t *testing.T) {
	t.Parallel()
	_, o := simulator(t)
	at := func(organisation string) contract {
		o.Organisation = organisation
		c := open(t, o)
		status, err := c.Status(t.Context())
		must(t, err)
		c.judge.answers, _, _ = strings.Cut(status.Version, "-")
		return c
	}
	root, here := at("admin"), at(hivetest.DefaultOrganisation)
	t.Run("tenants", func(t *testing.T) { administerTenants(t, admin.New(root.Client)) })
	t.Run("fields and types", func(t *testing.T) { administerFields(t, admin.New(root.Client)) })
	t.Run("templates", func(t *testing.T) { administerTemplates(t, here) })
	t.Run("connectors", func(t *testing.T) { askConnectors(t, here) })
}

func administerTenants(t *testing.T, a *admin.Admin) {
	ctx := t.Context()
	org, err := a.CreateOrganisation(ctx, admin.NewOrganisation{Name: "customer", Description: "a tenant"})
	must(t, err)
	_, err = a.CreateOrganisation(ctx, admin.NewOrganisation{Name: "customer", Description: "again"})
	if e, ok := errors.AsType[*hive.Error](err); !ok || !e.Exists() {
		t.Errorf("a second organisation of one name: %v", err)
	}
	must(t, a.UpdateOrganisation(ctx, org.ID, admin.OrganisationUpdate{Description: new("renamed")}))
	if got, err := a.Organisation(ctx, "customer"); err != nil || got.ID != org.ID || got.Description != "renamed" {
		t.Errorf("organisation %+v, %v", got, err)
	}
	profile, err := a.CreateProfile(ctx, "tier1", "managePage")
	must(t, err)
	must(t, a.UpdateProfile(ctx, profile.ID, admin.ProfileUpdate{Permissions: []string{"managePage", "manageComment"}}))
	if got, err := a.Profile(ctx, profile.ID); err != nil || len(got.Permissions) != 2 || !got.Editable {
		t.Errorf("profile %+v, %v", got, err)
	}
	user, err := a.CreateUser(ctx, admin.NewUser{Login: "forager@customer.example", Name: "Forager", Organisation: "customer", Profile: "analyst", Type: admin.Service})
	must(t, err)
	if user.Type != admin.Service || user.HasKey || user.Locked {
		t.Errorf("user %+v", user)
	}
	same, err := a.CreateUser(ctx, admin.NewUser{Login: "forager@customer.example", Name: "Forager", Organisation: "customer", Profile: "analyst"})
	if err != nil || same.ID != user.ID {
		t.Errorf("a login that is there is answered with its user: %+v, %v", same, err)
	}
	key, err := a.RenewKey(ctx, user.ID)
	must(t, err)
	if got, err := a.Key(ctx, user.ID); err != nil || got != key || key == "" {
		t.Errorf("key %q, %v, want %q", got, err, key)
	}
	must(t, a.DeleteKey(ctx, user.ID))
	must(t, a.UpdateUser(ctx, user.ID, admin.UserUpdate{Name: new("Carrier")}))
	memberships, err := a.SetOrganisations(ctx, user.ID, admin.Membership{Organisation: "customer", Profile: "read-only", Default: true})
	if err != nil || len(memberships) != 1 || memberships[0].Profile != "read-only" {
		t.Errorf("memberships %+v, %v", memberships, err)
	}
	if got, err := a.User(ctx, "forager@customer.example"); err != nil || got.Name != "Carrier" || got.HasKey {
		t.Errorf("user %+v, %v", got, err)
	}
	must(t, a.DeleteUser(ctx, user.ID, ""))
	must(t, a.DeleteProfile(ctx, profile.ID))
	if all, err := collect(a.Users(ctx, hive.Query{Filter: hive.Eq("login", "forager@customer.example")})); err != nil || len(all) != 0 {
		t.Errorf("users %+v, %v", all, err)
	}
	if all, err := collect(a.Organisations(ctx, hive.Query{})); err != nil || len(all) < 2 {
		t.Errorf("organisations %+v, %v", all, err)
	}
	if _, err := a.Permissions(ctx); err != nil {
		t.Error(err)
	}
	if l, _, err := a.CurrentLicense(ctx); err != nil || l.ExpiresAt == 0 {
		t.Errorf("licence %+v, %v", l, err)
	}
	if s, err := a.PublicStatus(ctx); err != nil || !strings.HasPrefix(s.Version, "5.") {
		t.Errorf("status %+v, %v", s, err)
	}
}

func administerFields(t *testing.T, a *admin.Admin) {
	ctx := t.Context()
	field, err := a.CreateCustomField(ctx, admin.NewCustomField{Name: "asset", Group: "g", Description: "d", Type: admin.String, Options: []any{"a", "b"}})
	must(t, err)
	must(t, a.UpdateCustomField(ctx, field.ID, admin.CustomFieldUpdate{Description: new("e"), Mandatory: new(true)}))
	all, err := a.CustomFields(ctx)
	must(t, err)
	found := admin.CustomField{}
	for _, f := range all {
		if f.ID == field.ID {
			found = f
		}
	}
	if found.Description != "e" || !found.Mandatory || found.Type != admin.String {
		t.Errorf("field %+v", found)
	}
	must(t, a.DeleteCustomField(ctx, field.ID, true))
	wantStatus(t, a.DeleteCustomField(ctx, field.ID, true), 404, "NotFoundError")
	kind, err := a.CreateObservableType(ctx, "jarm", false)
	must(t, err)
	if got, err := a.ObservableType(ctx, kind.ID); err != nil || got.Name != "jarm" || got.IsAttachment {
		t.Errorf("type %+v, %v", got, err)
	}
	must(t, a.DeleteObservableType(ctx, kind.ID))
}

func administerTemplates(t *testing.T, c contract) {
	ctx, a := t.Context(), admin.New(c.Client)
	page, err := a.CreatePageTemplate(ctx, hive.NewPage{Title: "p", Content: "c", Category: "k"})
	must(t, err)
	must(t, a.UpdatePageTemplate(ctx, page.ID, hive.PageUpdate{Content: new("d")}))
	made, err := a.CreateCaseTemplate(ctx, admin.NewCaseTemplate{Name: "phishing", TitlePrefix: "[P]", Severity: new(3), TLP: new(0), Tags: []string{"t"}, Tasks: []hive.NewTask{{Title: "look"}}})
	must(t, err)
	must(t, a.UpdateCaseTemplate(ctx, made.ID, admin.CaseTemplateUpdate{Description: new("d"), Tags: []string{"u"}}))
	got, err := a.CaseTemplate(ctx, "phishing")
	must(t, err)
	if got.ID != made.ID || got.Severity != 3 || got.TLP == nil || *got.TLP != 0 || got.PAP != nil || len(got.Tasks) != 1 || got.Description != "d" {
		t.Errorf("template %+v", got)
	}
	in := c.opened(t, hive.NewCase{Description: "d"})
	must(t, c.ApplyCaseTemplate(ctx, "phishing", hive.TemplateParts{Severity: true}, in.ID))
	if now, err := c.Case(ctx, in.ID); err != nil || now.Severity != 3 {
		t.Errorf("case %+v, %v", now, err)
	}
	must(t, a.DeleteCaseTemplate(ctx, "phishing"))
	must(t, a.DeletePageTemplate(ctx, page.ID))
	if all, err := collect(a.CaseTemplates(ctx, hive.Query{})); err != nil || len(all) != 0 {
		t.Errorf("templates %+v, %v", all, err)
	}
}

// askConnectors asks a TheHive that is connected with nothing.
func askConnectors(t *testing.T, c contract) {
	ctx, con := t.Context(), connector.New(c.Client)
	if all, err := con.Analyzers(ctx); err != nil || len(all) != 0 {
		t.Errorf("analyzers %+v, %v", all, err)
	}
	if all, err := con.AnalyzersFor(ctx, "ip"); err != nil || len(all) != 0 {
		t.Errorf("analyzers %+v, %v", all, err)
	}
	if s, err := con.MISPStatus(ctx); err != nil || s.Syncing {
		t.Errorf("MISP %+v, %v", s, err)
	}
	must(t, con.SyncMISP(ctx))
}
