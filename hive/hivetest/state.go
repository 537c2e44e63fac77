package hivetest

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/sourcegraph/conc"
)

// The state of a server in a file: one JSON object, written as a whole beside the file and then put in its place.

// stateForm is the form of the file. A file of another form is refused.
const stateForm = 1

// pace is the shortest time between two writings of a state; a state that takes long to write is written less often, so that
// writing takes a tenth of the time at most.
const pace = time.Second

// stored is a state as it lies in a file. Entities come in the order of their serials.
type stored struct {
	Form     int                    `json:"form"`
	Next     int64                  `json:"next"`
	Number   int64                  `json:"number"`
	Secrets  map[string]storedLogin `json:"secrets"`
	Sessions map[string]string      `json:"sessions"`
	Entities []storedEntity         `json:"entities"`
	Files    map[string][]byte      `json:"files"` // by SHA-256
}

type storedLogin struct {
	Password string `json:"password,omitempty"`
	Key      string `json:"key,omitempty"`
}

// storedEntity is the present version of an entity. A value is a text, a whole number or a boolean as it is, and anything
// else an object of one property that names its form.
type storedEntity struct {
	Serial int64                      `json:"serial"`
	Kind   string                     `json:"kind"`
	Org    string                     `json:"org,omitempty"`
	Parent string                     `json:"parent,omitempty"`
	By     string                     `json:"by"`
	At     int64                      `json:"at"`
	UpBy   string                     `json:"upBy,omitempty"`
	UpAt   int64                      `json:"upAt,omitempty"`
	Values map[string]json.RawMessage `json:"values"`
}

// taken is what a state is made of, copied under the lock; versions never change, so the rest needs none.
type taken struct {
	stored

	docs    []*doc
	parents []string
}

func (h *Hive) take() taken {
	h.mu.RLock()
	defer h.mu.RUnlock()
	s := h.store
	t := taken{stored: stored{
		Form: stateForm, Next: s.next, Number: s.number, Secrets: map[string]storedLogin{}, Sessions: maps.Clone(s.cookies), Files: maps.Clone(s.blobs),
	}}
	for login, secret := range s.secrets {
		t.Secrets[login] = storedLogin{secret.password, secret.key}
	}
	all := slices.SortedFunc(maps.Values(s.byID), func(a, b *entry) int { return cmp.Compare(a.serial, b.serial) })
	for _, e := range all {
		parent := ""
		if e.parent != nil {
			parent = e.parent.id
		}
		t.docs, t.parents = append(t.docs, e.doc), append(t.parents, parent)
	}
	return t
}

// state renders everything that the server holds but its journal, its counts, the audits that it remembers, and effects that are
// still to come.
func (h *Hive) state() ([]byte, error) {
	t := h.take()
	for i, d := range t.docs {
		e, err := storedOf(d)
		if err != nil {
			return nil, err
		}
		e.Parent = t.parents[i]
		t.Entities = append(t.Entities, e)
	}
	return json.Marshal(t.stored)
}

func storedOf(d *doc) (storedEntity, error) {
	e := storedEntity{
		Serial: d.entry.serial, Kind: d.kind.name, Org: d.entry.org, By: d.by, At: d.at, UpBy: d.upBy, UpAt: d.upAt, Values: map[string]json.RawMessage{},
	}
	for i, f := range d.kind.fields {
		if d.vals[i] == nil {
			continue
		}
		v, err := packed(d.vals[i])
		if err != nil {
			return e, fmt.Errorf("%s.%s: %w", d.kind.name, f.name, err)
		}
		e.Values[f.name] = v
	}
	return e, nil
}

// storedMember and storedInput are forms of values whose own have no names on the wire.
type storedMember struct {
	Org, Name, Profile string
	Permissions        []string
	Preset             bool
}

type storedInput struct {
	Name  string
	Value json.RawMessage
	Order int64
	Named bool
}

type storedCustom struct {
	ID, Name, Type string
	Value          json.RawMessage
	Order          int64
}

// packed writes a value with its form.
func packed(v any) (json.RawMessage, error) {
	form, inner, err := "", v, error(nil)
	switch v := v.(type) {
	case nil, string, int64, bool:
		return json.Marshal(v)
	case json.Number:
		form, inner = "number", v.String()
	case []string:
		form, inner = "texts", append([]string{}, v...)
	case []orgLink:
		form = "orgLinks"
	case []caseLink:
		form = "caseLinks"
	case map[string]any:
		form = "object"
		inner, err = packedObject(v)
	case []any:
		form = "list"
		inner, err = mapped(v, packed)
	case []map[string]any:
		form = "objects"
		inner, err = mapped(v, packedObject)
	case []member:
		form = "members"
		inner, err = mapped(v, func(m member) (storedMember, error) {
			return storedMember{m.org, m.name, m.profile, m.permissions, m.preset}, nil
		})
	case []customInput:
		form = "customInputs"
		inner, err = mapped(v, func(c customInput) (storedInput, error) {
			value, err := packed(c.value)
			return storedInput{c.name, value, c.order, c.named}, err
		})
	case []customValue:
		form = "customValues"
		inner, err = mapped(v, func(c customValue) (storedCustom, error) {
			value, err := packed(c.Value)
			return storedCustom{c.ID, c.Name, c.Type, value, c.Order}, err
		})
	case *doc:
		form = "entity"
		inner, err = storedOf(v)
	case []*doc:
		form = "entities"
		inner, err = mapped(v, storedOf)
	default:
		err = fmt.Errorf("a value of %T has no form", v)
	}
	if err != nil {
		return nil, err
	}
	return json.Marshal(map[string]any{form: inner})
}

func packedObject(m map[string]any) (map[string]json.RawMessage, error) {
	out := make(map[string]json.RawMessage, len(m))
	for name, v := range m {
		p, err := packed(v)
		if err != nil {
			return nil, err
		}
		out[name] = p
	}
	return out, nil
}

// mapped applies f to each element; it ends with the first error.
func mapped[A, B any](list []A, f func(A) (B, error)) ([]B, error) {
	out := make([]B, 0, len(list))
	for _, a := range list {
		b, err := f(a)
		if err != nil {
			return nil, err
		}
		out = append(out, b)
	}
	return out, nil
}

var errState = errors.New("no state of a simulated TheHive")

// unpacked reads a value that packed wrote.
func unpacked(raw json.RawMessage) (any, error) {
	v, err := decodeJSON(raw)
	if err != nil {
		return nil, err
	}
	switch v := v.(type) {
	case nil, string, bool:
		return v, nil
	case json.Number:
		n, ok := whole(v)
		if !ok {
			return nil, errState
		}
		return n, nil
	}
	var one map[string]json.RawMessage
	if err := json.Unmarshal(raw, &one); err != nil || len(one) != 1 {
		return nil, errState
	}
	for form, inner := range one {
		return unpackedAs(form, inner)
	}
	return nil, errState
}

// read unmarshals strictly and turns each element into what it was.
func read[A, B any](raw json.RawMessage, f func(A) (B, error)) ([]B, error) {
	var list []A
	if err := strictly(raw, &list); err != nil {
		return nil, err
	}
	return mapped(list, f)
}

func itself[T any](v T) (T, error) { return v, nil }

func unpackedAs(form string, raw json.RawMessage) (any, error) {
	switch form {
	case "number":
		var s string
		err := strictly(raw, &s)
		return json.Number(s), err
	case "texts":
		return read(raw, itself[string])
	case "orgLinks":
		return read(raw, itself[orgLink])
	case "caseLinks":
		return read(raw, itself[caseLink])
	case "object":
		return unpackedObject(raw)
	case "list":
		return read(raw, unpacked)
	case "objects":
		return read(raw, unpackedObject)
	case "members":
		return read(raw, func(m storedMember) (member, error) {
			return member{m.Org, m.Name, m.Profile, m.Permissions, m.Preset}, nil
		})
	case "customInputs":
		return read(raw, func(c storedInput) (customInput, error) {
			v, err := unpacked(c.Value)
			return customInput{c.Name, v, c.Order, c.Named}, err
		})
	case "customValues":
		return read(raw, func(c storedCustom) (customValue, error) {
			v, err := unpacked(c.Value)
			return customValue{c.ID, c.Name, c.Type, v, c.Order}, err
		})
	case "entity":
		var e storedEntity
		if err := strictly(raw, &e); err != nil {
			return nil, err
		}
		return e.loose()
	case "entities":
		return read(raw, storedEntity.loose)
	}
	return nil, fmt.Errorf("a value of the form %q is unknown", form)
}

func unpackedObject(raw json.RawMessage) (map[string]any, error) {
	var m map[string]json.RawMessage
	if err := json.Unmarshal(raw, &m); err != nil {
		return nil, err
	}
	out := make(map[string]any, len(m))
	for name, p := range m {
		v, err := unpacked(p)
		if err != nil {
			return nil, err
		}
		out[name] = v
	}
	return out, nil
}

// loose makes an entity that stands in no list.
func (e storedEntity) loose() (*doc, error) {
	k := kindNamed(e.Kind)
	if k == nil {
		return nil, fmt.Errorf("kind %q is unknown", e.Kind)
	}
	d := &doc{kind: k, vals: make([]any, len(k.fields)), by: e.By, at: e.At, upBy: e.UpBy, upAt: e.UpAt}
	d.entry = &entry{id: entityID(e.Serial), serial: e.Serial, org: e.Org, doc: d}
	for name, raw := range e.Values {
		if _, known := k.slot(name); !known {
			return nil, fmt.Errorf("%s %s: field %q is unknown", e.Kind, d.entry.id, name)
		}
		v, err := unpacked(raw)
		if err != nil {
			return nil, fmt.Errorf("%s %s: %s: %w", e.Kind, d.entry.id, name, err)
		}
		d.set(name, v)
	}
	return d, nil
}

func kindNamed(name string) *kind {
	for _, k := range kinds {
		if k.name == name {
			return k
		}
	}
	return nil
}

// restore takes a state that state wrote in the place of the present one.
func (h *Hive) restore(raw []byte) error {
	var in stored
	if err := strictly(raw, &in); err != nil {
		return errors.Join(errState, err)
	}
	if in.Form != stateForm {
		return fmt.Errorf("%w: form %d, expected %d", errState, in.Form, stateForm)
	}
	s, err := in.store()
	if err != nil {
		return errors.Join(errState, err)
	}
	h.temper(s)
	h.mu.Lock()
	h.store, h.audits, h.later = s, nil, nil
	h.resume()
	h.mu.Unlock()
	return nil
}

func (in *stored) store() (*store, error) {
	s := newStore()
	s.next, s.number = in.Next, in.Number
	for id, data := range in.Files {
		if sum := sha256.Sum256(data); hex.EncodeToString(sum[:]) != id {
			return nil, fmt.Errorf("file %s: its content is another one", id)
		}
		s.blobs[id] = data
	}
	docs := make([]*doc, 0, len(in.Entities))
	for _, e := range in.Entities {
		d, err := e.loose()
		if err != nil {
			return nil, err
		}
		if e.Serial <= 0 || e.Serial > in.Next || s.byID[d.entry.id] != nil {
			return nil, fmt.Errorf("%s %s: its number is wrong or taken", e.Kind, d.entry.id)
		}
		s.byID[d.entry.id] = d.entry
		docs = append(docs, d)
	}
	for i, d := range docs {
		if err := s.settle(d.entry, in.Entities[i].Parent); err != nil {
			return nil, err
		}
	}
	for login, l := range in.Secrets {
		s.setPassword(login, l.Password)
		s.setKey(login, l.Key)
	}
	maps.Copy(s.cookies, in.Sessions)
	return s, nil
}

// settle gives an entity its place: below its parent, in the list of its kind, in the indexes.
func (s *store) settle(e *entry, parent string) error {
	k := e.doc.kind
	if s.byKind[k.name] == nil {
		s.byKind[k.name] = &series{}
	}
	s.byKind[k.name].add(e)
	if parent != "" {
		p := s.byID[parent]
		if p == nil {
			return fmt.Errorf("%s %s lies in %s, which is not there", k.name, e.id, parent)
		}
		p.adopt(e)
		if id := identity(e.doc); id != "" {
			if p.values == nil {
				p.values = map[string]struct{}{}
			}
			p.values[id] = struct{}{}
		}
	}
	s.name(e)
	s.post(e, nil)
	return nil
}

// Keeper keeps the state of a server in a file.
type Keeper struct {
	hive   *Hive
	file   string
	failed func(error)
	stop   chan struct{}
	done   conc.WaitGroup
	close  sync.Once
	last   error
}

// Keep takes the state that was read of file (nil: there is none yet) in the place of the present one, and writes into the file what
// changes from now on: at once, at most once a second, and less often where writing takes long. What a request wrote within that time
// before a sudden end is lost; the file is always whole. Effects that are still to come, audits, counts and the journal are not in it.
// failed is told of each writing that fails; it may be nil. What is no state is an error, and the file is left as it is.
func (h *Hive) Keep(file string, was []byte, failed func(error)) (*Keeper, error) {
	if was != nil {
		if err := h.restore(was); err != nil {
			return nil, fmt.Errorf("%s: %w", file, err)
		}
	}
	if failed == nil {
		failed = func(error) {}
	}
	k := &Keeper{hive: h, file: file, failed: failed, stop: make(chan struct{})}
	select {
	case <-h.changes: // of the time before
	default:
	}
	if err := k.write(); err != nil { // what cannot be written is known before anybody relies on it
		return nil, err
	}
	k.done.Go(loud(k.keep))
	return k, nil
}

// keep writes after changes, until it is told to stop.
func (k *Keeper) keep() {
	for {
		select {
		case <-k.stop:
			return
		case <-k.hive.changes:
		}
		begun := time.Now()
		if err := k.write(); err != nil {
			k.failed(err)
		}
		select {
		case <-k.stop:
			return
		case <-time.After(max(pace, 10*time.Since(begun))):
		}
	}
}

func (k *Keeper) write() error {
	raw, err := k.hive.state()
	if err != nil {
		return fmt.Errorf("state: %w", err)
	}
	f, err := os.CreateTemp(filepath.Dir(k.file), filepath.Base(k.file)+".*") // readable by its owner alone: there are passwords in it
	if err != nil {
		return err
	}
	_, err = f.Write(raw)
	if err = errors.Join(err, f.Sync(), f.Close()); err == nil {
		err = os.Rename(f.Name(), k.file)
	}
	if err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	return nil
}

// Close writes the state a last time. It is harmless when repeated.
func (k *Keeper) Close() error {
	k.close.Do(func() {
		close(k.stop)
		k.done.Wait()
		k.last = k.write()
	})
	return k.last
}
