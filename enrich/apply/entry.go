package apply

// bodyFields are all fields of entries' bodies, of keys and cases, that this version knows.
var bodyFields = []string{
	"cases", "opened", "procedures", "observables", "tags", "comments", "files", "stored", "tasks", "pages", "digest", "high", "leftOut", "leftItems", "posted", "organisation",
}

// home says which organisation an entry is of, as the configuration named it: "" is the account's
// own. Entries of the first versions do not say.
type home struct {
	Organisation *string `json:"organisation,omitempty"`
}

// belong says where an entry belongs that does not say it yet.
func (h *home) belong(organisation string) {
	if h.Organisation == nil {
		h.Organisation = &organisation
	}
}

// caseBody is what the entry case.<id> remembers of Forager's own effects.
type caseBody struct {
	Procedures  map[string]procedureRef `json:"procedures"` // by TheHive's id
	Observables []string                `json:"observables"`
	Tags        []string                `json:"tags"`
	Comments    map[string]commentRef   `json:"comments"`         // by rule and day
	Files       []string                `json:"files,omitempty"`  // as TheHive lists them
	Stored      map[string]string       `json:"stored,omitempty"` // of files in another form: as listed → the file that it stands for
	Tasks       []string                `json:"tasks,omitempty"`
	Pages       []string                `json:"pages,omitempty"`
	Digest      *digestBody             `json:"digest,omitempty"`
	High        high                    `json:"high"`
	LeftOut     map[string]int          `json:"leftOut,omitempty"`   // by kind, what a limit left out
	LeftItems   []string                `json:"leftItems,omitempty"` // hashes of what was counted so
	Posted      map[string]int64        `json:"posted,omitempty"`    // by kind, when something was posted last, ms
	home
}

// high is the most that Forager itself wrote to a case; -1 is nothing.
type high struct {
	Severity int `json:"severity"`
	TLP      int `json:"tlp"`
	PAP      int `json:"pap"`
}

// procedureRef is [technique, tactic].
type procedureRef [2]string

// commentRef is the comment of one rule and day.
type commentRef struct {
	ID        string            `json:"id"` // TheHive's id, inDescription or inDigest
	First     int64             `json:"first"`
	Last      int64             `json:"last"`
	N         int               `json:"n"`   // at least so many detections
	Seq       uint64            `json:"seq"` // highest stream sequence counted by the first versions, of whatever stream
	IDs       []string          `json:"ids,omitempty"`
	Written   string            `json:"written,omitempty"`   // hash of the text that Forager last wrote
	Sequences map[string]uint64 `json:"sequences,omitempty"` // highest counted, by stream
	Pending   bool              `json:"pending,omitempty"`   // the text lags behind these numbers
}

const inDescription = "description"

// marksBody is what the entry marks.<case> remembers of analysts' actions.
type marksBody struct {
	Removed [][2]string `json:"removed,omitempty"` // kind, hash
	Moved   string      `json:"moved,omitempty"`   // id of the case that this one was merged into
	Gone    int64       `json:"gone,omitempty"`    // when a document said that the case was deleted, ms; 0: none did
	Lifted  [][2]string `json:"lifted,omitempty"`  // removals that were taken back, until the items are there again
}
