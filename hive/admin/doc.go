// Package admin administers a TheHive 5: users and their keys, profiles, organisations, custom
// fields, observable types, case and page templates, licences. The worker needs none of it; it is
// for the programs that set a TheHive up.
//
// # Promise
//
// Every call is one of [hive.Client.Exchange], with its limits and its one type of errors: an
// [*hive.Error], or an [*hive.InvalidError] before a byte is sent. Nothing is created twice by this
// package: a write that may have happened is not sent again.
//
//	a := admin.New(client)
//	u, err := a.CreateUser(ctx, admin.NewUser{Login: "ann@example.org", Name: "Ann", Profile: "analyst"})
//
// # What there is
//
//	user.go          Users, User, CreateUser, UpdateUser, LockUser, DeleteUser, SetLogin, SetPassword, ChangePassword,
//	                 SetOrganisations, RenewKey, Key, DeleteKey
//	profile.go       Profiles, Profile, CreateProfile, UpdateProfile, DeleteProfile, Permissions
//	organisation.go  Organisations, Organisation, CreateOrganisation, UpdateOrganisation, LinkOrganisations,
//	                 UnlinkOrganisations, OrganisationLinks, SetOrganisationLinks, SharingProfiles
//	field.go         CustomFields, CreateCustomField, UpdateCustomField, DeleteCustomField,
//	                 ObservableTypes, ObservableType, CreateObservableType, DeleteObservableType
//	template.go      CaseTemplates, CaseTemplate, CreateCaseTemplate, UpdateCaseTemplate, DeleteCaseTemplate, LinkPageTemplates,
//	                 PageTemplates, CreatePageTemplate, UpdatePageTemplate, DeletePageTemplate
//	license.go       CurrentLicense, Licenses, AddLicense, ActivateLicense, LicenseChallenge, PublicStatus
//
// Names in a path (logins, organisations, templates) may be ids ("~12") or names; they are escaped.
// Moments are [hive.Millis]. The paths and fields are those of TheHive's OpenAPI 5.5.13.
package admin
