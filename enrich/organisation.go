package enrich

// OrganisationError says that TheHive refuses the worker in one organisation: the account is no
// member there any more, or may not do there what a plan asks for. It is Blocked; what belongs to
// other organisations can be done all the same.
type OrganisationError struct {
	// Organisation is the name in the plan; empty is the account's own.
	Organisation string
	// Credentials says that the answer was 401, which may concern every organisation: only who
	// asks in another one knows.
	Credentials bool
	// Err is TheHive's answer.
	Err error
}

// Error names the organisation and what TheHive answered.
func (e *OrganisationError) Error() string {
	return "refused in organisation " + OrganisationName(e.Organisation) + ": " + e.Err.Error()
}

// Unwrap is TheHive's answer.
func (e *OrganisationError) Unwrap() error { return e.Err }

// OrganisationName is an organisation as people and metrics read it: "(own)" is the account's own
// where the configuration names none.
func OrganisationName(name string) string {
	if name == "" {
		return "(own)"
	}
	return name
}
