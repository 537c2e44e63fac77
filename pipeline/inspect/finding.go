package inspect

import "slices"

// Level is how bad a [Finding] is.
type Level string

// Levels, from good to bad.
const (
	LevelOK     Level = "ok"     // as it should be
	LevelNote   Level = "note"   // worth knowing; nothing needs to be done
	LevelHurts  Level = "hurts"  // the worker works, and a promise of its own does not hold
	LevelBroken Level = "broken" // the worker would not work
)

// levels are in order.
var levels = []Level{LevelOK, LevelNote, LevelHurts, LevelBroken}

// Exceeds tells whether a level is worse than another.
func (l Level) Exceeds(other Level) bool {
	return slices.Index(levels, l) > slices.Index(levels, other)
}

// Server is whose affair a [Finding] is.
type Server string

// Servers. What is about neither, such as a clock or a file, has none.
const (
	ServerNATS Server = "nats"
	ServerHive Server = "thehive"
)

// Finding is one thing that an inspection saw. Texts are sentences without a full stop, one line
// each, without secrets.
type Finding struct {
	Level  Level  `json:"level"`
	About  string `json:"about"`            // what it belongs to: "stream DETECTIONS"
	What   string `json:"what"`             // what was seen
	Why    string `json:"why,omitempty"`    // what follows from it; empty with [LevelOK]
	Remedy string `json:"remedy,omitempty"` // what to do; empty with [LevelOK]
	Line   string `json:"line,omitempty"`   // the permission that is missing, as in deploy/nats/permissions.conf
	Server Server `json:"server,omitempty"` // whose affair it is
}

// rule is a finding that is made when something is so.
type rule struct {
	so bool
	Finding
}

// when makes a rule.
func when(so bool, level Level, what, why, remedy string) rule {
	return rule{so, Finding{Level: level, What: what, Why: why, Remedy: remedy}}
}
