package mitre

// Bounds on what one text can cost; a note tells what lies beyond them.
const (
	MaxIDs  = 100      // techniques that one text gives
	MaxText = 16 << 10 // bytes of a text that are read
	maxHint = 1 << 10  // bytes of each hint that are read
)

// A Hint is what the event and its format say about a text. Tactic and Parent
// decide between techniques of one name, in any spelling; all may be empty.
type Hint struct {
	Tactic string // one or several tactics, separated by commas
	Parent string // the technique of which this is a sub-technique
	Tags   bool   // the field holds tags of all kinds: a bare name ("malware") is no technique, "attack." must stand before it
}

// A Resolution is what a text means.
type Resolution struct {
	// IDs are the techniques that the text names, canonical, in its order and
	// without repetition, as it names them: [Target.Map] follows revocations.
	// An id may be a sub-technique that no release knows when its parent is
	// known: Map then gives the server's own, or the parent. Read only.
	IDs []string
	// Unknown are well-formed ids that neither release nor parent knows. A
	// newer server may hold them: Map says so.
	Unknown []string
	// Tactics are the short names of the tactics that the text itself names,
	// in its order. They belong to the text, not to one of its techniques.
	Tactics []string
	// Reason says why IDs is empty; it is empty when IDs is not.
	Reason Reason
	// Note tells what was decided: a name that contradicts the id beside it,
	// an id that no release knows. It holds ids and MITRE's names only.
	Note string
}

// A Reason says why a text names no technique. The list is closed, so that
// it can label a metric.
type Reason string

// The reasons, from the least to the most telling: of a text with several
// parts, the most telling part speaks.
const (
	ReasonNone      Reason = ""
	ReasonEmpty     Reason = "empty"             // nothing, blanks, or "-"
	ReasonNot       Reason = "not a technique"   // words that no release knows as a name
	ReasonPath      Reason = "path"              // an id inside a path or address that is not ATT&CK's
	ReasonTactic    Reason = "tactic only"       // "Command and Control", "TA0011", "attack.c2"
	ReasonObject    Reason = "software or group" // "S0039", "G0007", data sources, mitigations, campaigns
	ReasonFramework Reason = "other framework"   // ATLAS and CAPEC: "AML.T0051"
	ReasonVendor    Reason = "vendor id"         // "CST0023", "CSTA0008"
	ReasonAmbiguous Reason = "ambiguous name"    // borne by several techniques, and neither tactic nor parent decides
	ReasonUnknown   Reason = "unknown id"        // well-formed, as "T1234", but in no release
)

// rank orders reasons by how much they tell.
func (r Reason) rank() int {
	switch r {
	case ReasonNone:
		return 0
	case ReasonEmpty:
		return 1
	case ReasonNot:
		return 2
	case ReasonPath:
		return 3
	case ReasonTactic:
		return 4
	case ReasonObject:
		return 5
	case ReasonFramework:
		return 6
	case ReasonVendor:
		return 7
	case ReasonAmbiguous:
		return 8
	case ReasonUnknown:
		return 9
	}
	return 0
}
