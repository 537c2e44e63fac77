package detection

import "forager/enrich/detection/canon"

// Clean makes a text fit to be shown, as package canon does.
func Clean(s string, most int) string { return canon.Clean(s, most) }

// FoldText makes texts that look alike one, as canon does.
func FoldText(s string) string { return canon.FoldText(s) }

// FoldHost is a host as keys have it, as canon does; with full, with all labels of its name.
func FoldHost(s string, full bool) string { return canon.FoldHost(s, full) }

// FoldIP is an address as keys have it, as canon does.
func FoldIP(s string) string { return canon.FoldIP(s) }

// FoldKey is a sender's key as keys have it, as canon does.
func FoldKey(s string) string { return canon.FoldKey(s) }

// FoldUser is an account as keys have it, as canon does; host where it is the account of a machine.
func FoldUser(s string) (user, host string) { return canon.FoldUser(s) }

// DataTypes are the types of observables that TheHive has, as canon has them.
func DataTypes() []string { return canon.DataTypes() }
