package objects

import (
	"bytes"
	"context"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"go.uber.org/zap"

	"forager/enrich"
	"forager/enrich/files"
	"forager/pipeline/natstest"
	"forager/pipeline/stream"
)

// rig is a real JetStream server and a connection to it.
type rig struct {
	t      *testing.T
	server *natstest.Server
	link   *stream.Link
	js     jetstream.JetStream
}

func newRig(t *testing.T) *rig {
	t.Helper()
	server, err := natstest.Start(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(server.Close)
	link, err := stream.Connect(t.Context(), stream.Connection{URLs: []string{server.URL()}}, zap.NewNop())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(link.Close)
	return &rig{t: t, server: server, link: link, js: link.JetStream()}
}

// store makes a bucket with objects.
func (r *rig) store(bucket string, objects map[string][]byte) jetstream.ObjectStore {
	r.t.Helper()
	store, err := r.js.CreateObjectStore(r.t.Context(), jetstream.ObjectStoreConfig{Bucket: bucket})
	if err != nil {
		r.t.Fatal(err)
	}
	for key, content := range objects {
		if _, err := store.PutBytes(r.t.Context(), key, content); err != nil {
			r.t.Fatal(err)
		}
	}
	return store
}

// openObject finds an object and begins to read it.
func openObject(ctx context.Context, r *rig, ref string) (io.ReadCloser, int64, error) {
	found, err := New(r.link).Find(ctx, ref)
	if err != nil {
		return nil, 0, err
	}
	content, err := found.Open(ctx)
	return content, found.Size, err
}

func TestAnObjectThatIsReplacedIsAnotherVersion(t *testing.T) {
	r := newRig(t)
	store := r.store("evidence", map[string][]byte{"dump": []byte("one")})
	versions := map[string]bool{}
	for range 2 {
		found, err := New(r.link).Find(t.Context(), "evidence/dump")
		if err != nil {
			t.Fatal(err)
		}
		versions[found.Version] = true
		if _, err := store.PutBytes(t.Context(), "dump", []byte("two")); err != nil {
			t.Fatal(err)
		}
	}
	if len(versions) != 2 || versions[""] {
		t.Errorf("versions %v", versions)
	}
}

func TestObjectsAreReadWhole(t *testing.T) {
	r := newRig(t)
	large := bytes.Repeat([]byte("0123456789abcdef"), 64<<10) // 1 MiB: eight chunks
	objects := map[string][]byte{"empty": {}, "small.bin": []byte("x"), "case 7/mem.dmp": large, "Ü/*.>": []byte("y")}
	r.store("evidence", objects)
	for key, want := range objects {
		content, size, err := openObject(t.Context(), r, "evidence/"+key)
		if err != nil {
			t.Fatalf("%s: %v", key, err)
		}
		got, err := io.ReadAll(content)
		if err != nil || !bytes.Equal(got, want) || size != int64(len(want)) {
			t.Errorf("%s: %d bytes, size %d, %v; want %d", key, len(got), size, err, len(want))
		}
		if err := content.Close(); err != nil {
			t.Errorf("%s: close: %v", key, err)
		}
	}
}

func TestObjectsThatAreNotThere(t *testing.T) {
	r := newRig(t)
	store := r.store("evidence", map[string][]byte{"there": []byte("x"), "gone": []byte("x")})
	other := r.store("secret", map[string][]byte{"plans": []byte("x")})
	if err := store.Delete(t.Context(), "gone"); err != nil {
		t.Fatal(err)
	}
	info, err := other.GetInfo(t.Context(), "plans")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := store.AddLink(t.Context(), "link", info); err != nil {
		t.Fatal(err)
	}
	for name, ref := range map[string]string{
		"no bucket": "nothing/there", "no object": "evidence/none", "a deleted object": "evidence/gone",
		"a link to another bucket": "evidence/link", "no key": "evidence/", "no slash": "evidence", "nothing": "",
		"a wildcard for a bucket": "*/there", "a subject for a bucket": "a.b/there", "a way up": "evidence/../there",
		"a way up inside": "evidence/a/../there", "two slashes": "evidence//there", "a line break": "evidence/there\n",
		"a bidirectional mark": "evidence/there\u202e", "broken text": "evidence/\xff", "a bucket that is too long": strings.Repeat("b", 300) + "/there",
		"a key that is too long": "evidence/" + strings.Repeat("k", 4000), "an address": "http://example.com/there",
	} {
		content, _, err := openObject(t.Context(), r, ref)
		if !errors.Is(err, files.ErrNoObject) || content != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestAnUnreachableStoreMayPass(t *testing.T) {
	r := newRig(t)
	r.store("evidence", map[string][]byte{"there": []byte("x")})
	r.server.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	_, _, err := openObject(ctx, r, "evidence/there")
	if err == nil || errors.Is(err, files.ErrNoObject) || enrich.ClassOf(err) == enrich.Rejected {
		t.Errorf("got %v, class %v", err, enrich.ClassOf(err))
	}
}

func TestAChunkThatIsMissingIsAnErrorAtTheEnd(t *testing.T) {
	r := newRig(t)
	store := r.store("evidence", map[string][]byte{"dump": bytes.Repeat([]byte("x"), 400<<10)})
	info, err := store.GetInfo(t.Context(), "dump")
	if err != nil {
		t.Fatal(err)
	}
	stream, err := r.js.Stream(t.Context(), "OBJ_evidence")
	if err != nil {
		t.Fatal(err)
	}
	chunk, err := stream.GetLastMsgForSubject(t.Context(), "$O.evidence.C."+info.NUID)
	if err != nil {
		t.Fatal(err)
	}
	if err := stream.DeleteMsg(t.Context(), chunk.Sequence-1); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
	defer cancel()
	content, _, err := openObject(ctx, r, "evidence/dump")
	if err != nil {
		t.Fatal(err)
	}
	defer content.Close()
	if n, err := io.Copy(io.Discard, content); err == nil {
		t.Errorf("%d bytes of a broken object were read without an error", n)
	}
}

func TestTheTimeOfAnObjectGrowsWithItsSize(t *testing.T) {
	for size, want := range map[uint64]time.Duration{0: objectBase, 100 << 20: objectBase + 400*time.Second} {
		if got := objectTime(size); got != want {
			t.Errorf("%d bytes: %s, want %s", size, got, want)
		}
	}
}
