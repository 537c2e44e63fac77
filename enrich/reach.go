package enrich

import (
	"strings"

	"forager/enrich/detection"
	"forager/enrich/markdown"
)

// ObjectRule lets the messages of some subjects name objects of a bucket. Without any rule a message
// may name those of its own: in any bucket, what begins with its subject and a slash.
//
// The subject alone decides. A route is chosen by what an event says, which its sender writes: who may
// publish at all could take the route of another. On which subject he may publish, NATS decides.
type ObjectRule struct {
	Subject string // of messages, with NATS wildcards
	Bucket  string
	Prefix  string // of objects' names; empty is all of the bucket
}

// mayName tells whether a message of a subject may name an object, "bucket/key".
func (p *Planner) mayName(subject, object string) bool {
	bucket, key, _ := strings.Cut(object, "/")
	if subject != "" && !strings.Contains(subject, "/") && strings.HasPrefix(key, subject+"/") {
		return true
	}
	for _, r := range p.options.Objects {
		if r.Bucket == bucket && strings.HasPrefix(key, r.Prefix) && detection.MatchSubject(r.Subject, subject) {
			return true
		}
	}
	return false
}

// tagBarred marks a case that lacks a file since its sender may not name the object.
const tagBarred = TagPrefix + "object-refused"

// files parts those of a detection from those whose object its sender may not name. The case says
// so, and the detection goes on.
func (p *Planner) files(plan *Plan, d detection.Detection) {
	plan.Files = nil
	for _, f := range d.Files {
		if f.Object == "" || p.mayName(plan.Origin.Subject, f.Object) {
			plan.Files = append(plan.Files, f)
			continue
		}
		plan.Barred = append(plan.Barred, f)
		plan.notes += "\n- **Left out**: " + markdown.Text("file "+f.Name+": "+plan.WhyBarred(f)) + "\n"
	}
	if len(plan.Barred) > 0 {
		plan.Tags = append(plan.Tags, tagBarred)
	}
}

// WhyBarred says why an object is refused, and what would allow it.
func (p Plan) WhyBarred(f detection.File) string {
	return "files.objects lets no message of the subject " + Excerpt(p.Origin.Subject) + " name the object " + Excerpt(f.Object)
}
