package pipeline

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path"
	"regexp"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/nats-io/nats.go/jetstream"

	"forager/enrich"
)

// Objects opens files in JetStream's object stores by "bucket/key". Content is read as it comes;
// nothing is buffered whole. Safe for concurrent use.
type Objects struct {
	link *Link
}

var _ enrich.Opener = (*Objects)(nil)

// NewObjects makes an opener. It makes no call.
func NewObjects(link *Link) *Objects { return &Objects{link: link} }

// Deadlines of an object. The client gives up a read after five seconds, whatever its size,
// unless the context says otherwise.
const (
	objectBase    = 30 * time.Second
	objectSlowest = 256 << 10 // bytes a second
)

// maxObjectKey bounds keys: they become part of a subject, in base64.
const maxObjectKey = 512

// bucketName is what JetStream allows for buckets.
var bucketName = regexp.MustCompile(`^[a-zA-Z0-9_-]{1,128}$`)

// Open gives the content of an object and its size in bytes. A reference that cannot be one, a
// bucket, or an object that is not there, is [enrich.ErrNoObject]; so is a link, which would lead
// out of the bucket that the reference names. All other errors may pass.
// A read ends with an error past 30 s and one second for each 256 KiB; one that does not reach
// the end is no proof of what it gave: the store's own digest is compared there.
func (o *Objects) Open(ctx context.Context, ref string) (io.ReadCloser, int64, error) {
	bucket, key, err := splitRef(ref)
	if err != nil {
		return nil, 0, err
	}
	store, err := o.link.js.ObjectStore(ctx, bucket)
	if err != nil {
		return nil, 0, o.failed("bucket", err)
	}
	info, err := store.GetInfo(ctx, key)
	if err != nil {
		return nil, 0, o.failed("look up object", err)
	}
	if info.Opts != nil && info.Opts.Link != nil {
		return nil, 0, fmt.Errorf("open object: it is a link: %w", enrich.ErrNoObject)
	}
	if info.Size > 1<<62 {
		return nil, 0, fmt.Errorf("open object: size %d: %w", info.Size, enrich.ErrNoObject)
	}
	bounded, cancel := context.WithTimeout(ctx, objectTime(info.Size))
	content, err := store.Get(bounded, key)
	if err != nil {
		cancel()
		return nil, 0, o.failed("get object", err)
	}
	return &object{content: content, cancel: cancel}, int64(info.Size), nil
}

// objectTime is how long the reading of an object may take.
func objectTime(size uint64) time.Duration {
	return objectBase + time.Duration(min(size/objectSlowest, 1<<24))*time.Second
}

// failed tells what is not there from what may pass.
func (o *Objects) failed(doing string, err error) error {
	if errors.Is(err, jetstream.ErrBucketNotFound) || errors.Is(err, jetstream.ErrObjectNotFound) ||
		errors.Is(err, jetstream.ErrStreamNotFound) || errors.Is(err, jetstream.ErrInvalidStoreName) {
		return fmt.Errorf("%s: %w", doing, enrich.ErrNoObject)
	}
	return fmt.Errorf("%s: %w", doing, o.link.why(err))
}

// splitRef takes a reference apart. Keys may hold slashes, but nothing that means something to a
// file system or a terminal: detections are hostile.
func splitRef(ref string) (bucket, key string, err error) {
	bucket, key, ok := strings.Cut(ref, "/")
	switch {
	case !ok || !bucketName.MatchString(bucket):
	case key == "" || len(key) > maxObjectKey || !utf8.ValidString(key):
	case strings.ContainsFunc(key, func(r rune) bool { return !unicode.IsPrint(r) }):
	case path.Clean("/"+key) != "/"+key:
	default:
		return bucket, key, nil
	}
	return "", "", fmt.Errorf("object reference is not bucket/key: %w", enrich.ErrNoObject)
}

// object is an object that is being read; its deadline goes with it.
type object struct {
	content jetstream.ObjectResult
	cancel  context.CancelFunc
}

// Read reads on.
func (o *object) Read(p []byte) (int, error) { return o.content.Read(p) }

// Close ends the reading, wherever it is.
func (o *object) Close() error {
	o.cancel()
	return o.content.Close()
}
