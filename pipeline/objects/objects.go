// Package objects opens files that lie in JetStream's object stores, for whoever uploads them (files.Opener).
//
// [Store.Find] says of a reference "bucket/key" what lies there, or that nothing does; content is read as it comes, nothing is buffered whole.
//
// Its limits: a key has at most 512 bytes; a read may take 30 s and one second for each 256 KiB.
//
// Its errors: [files.ErrNoObject] for what can never be there; all others may pass.
package objects

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"hash"
	"io"
	"path"
	"regexp"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/nats-io/nats.go/jetstream"

	"forager/enrich/files"
	"forager/pipeline/stream"
)

// Store opens files in JetStream's object stores by "bucket/key". Content is read as it comes;
// nothing is buffered whole. Safe for concurrent use.
type Store struct {
	link *stream.Link
}

var _ files.Opener = (*Store)(nil)

// New makes an opener. It makes no call.
func New(link *stream.Link) *Store { return &Store{link: link} }

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

// Find tells of an object; its content is read by what it gives. A reference that cannot be one, a
// bucket, or an object that is not there, is [files.ErrNoObject]; so is a link, which would lead
// out of the bucket that the reference names. All other errors may pass.
// A read ends with an error past 30 s and one second for each 256 KiB; one that does not reach
// the end is no proof of what it gave: the store's own digest is compared there.
func (o *Store) Find(ctx context.Context, ref string) (files.Object, error) {
	bucket, key, err := splitRef(ref)
	if err != nil {
		return files.Object{}, err
	}
	store, err := o.link.JetStream().ObjectStore(ctx, bucket)
	if err != nil {
		return files.Object{}, o.failed("bucket", err)
	}
	info, err := store.GetInfo(ctx, key)
	if err != nil {
		return files.Object{}, o.failed("look up object", err)
	}
	if info.Opts != nil && info.Opts.Link != nil {
		return files.Object{}, fmt.Errorf("open object: it is a link: %w", files.ErrNoObject)
	}
	if info.Size > 1<<62 {
		return files.Object{}, fmt.Errorf("open object: size %d: %w", info.Size, files.ErrNoObject)
	}
	return files.Object{Size: int64(info.Size), Version: info.NUID + " " + info.Digest, Open: func(ctx context.Context) (io.ReadCloser, error) {
		return o.open(ctx, info)
	}}, nil
}

// open begins to read an object.
func (o *Store) open(ctx context.Context, info *jetstream.ObjectInfo) (io.ReadCloser, error) {
	content, err := o.read(ctx, info)
	if err != nil {
		return nil, o.failed("get object", err)
	}
	return content, nil
}

// read begins to read an object's chunks. They are pulled, few at a time: the client's own reader
// has them pushed ahead of it, which cost 55 MiB for an object of 100.
func (o *Store) read(ctx context.Context, info *jetstream.ObjectInfo) (*object, error) {
	bounded, cancel := context.WithTimeout(ctx, objectTime(info.Size))
	content := &object{cancel: cancel, left: info.Size, sum: sha256.New(), digest: info.Digest}
	consumer, err := o.link.JetStream().OrderedConsumer(bounded, "OBJ_"+info.Bucket, jetstream.OrderedConsumerConfig{
		FilterSubjects: []string{"$O." + info.Bucket + ".C." + info.NUID},
	})
	if err == nil {
		content.chunks, err = consumer.Messages(jetstream.PullMaxMessages(objectChunks))
	}
	if err != nil {
		cancel()
		return nil, err
	}
	content.drop = func() { o.link.Drop(ctx, consumer) }
	content.next = func() (jetstream.Msg, error) { return content.chunks.Next(jetstream.NextContext(bounded)) }
	return content, nil
}

// objectChunks are pulled at a time; a chunk has 128 KiB unless whoever stored it wanted others.
const objectChunks = 8

// objectTime is how long the reading of an object may take.
func objectTime(size uint64) time.Duration {
	return objectBase + time.Duration(min(size/objectSlowest, 1<<24))*time.Second
}

// failed tells what is not there from what may pass.
func (o *Store) failed(doing string, err error) error {
	if errors.Is(err, jetstream.ErrBucketNotFound) || errors.Is(err, jetstream.ErrObjectNotFound) ||
		errors.Is(err, jetstream.ErrStreamNotFound) || errors.Is(err, jetstream.ErrInvalidStoreName) {
		return fmt.Errorf("%s: %w", doing, files.ErrNoObject)
	}
	return fmt.Errorf("%s: %w", doing, o.link.Explain(err))
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
	return "", "", fmt.Errorf("object reference is not bucket/key: %w", files.ErrNoObject)
}

// errObjectDigest says that what was read is not what was stored.
var errObjectDigest = errors.New("object does not match its digest")

// object is an object that is being read; its deadline goes with it.
type object struct {
	chunks jetstream.MessagesContext
	next   func() (jetstream.Msg, error)
	cancel context.CancelFunc
	drop   func() // the consumer
	chunk  []byte // not read yet
	left   uint64 // bytes, with those of chunk
	sum    hash.Hash
	digest string
}

// Read reads on. At the end it compares the digest.
func (o *object) Read(p []byte) (int, error) {
	if o.left == 0 {
		if o.digest != "SHA-256="+base64.URLEncoding.EncodeToString(o.sum.Sum(nil)) {
			return 0, fmt.Errorf("read object: %w", errObjectDigest)
		}
		return 0, io.EOF
	}
	for len(o.chunk) == 0 {
		msg, err := o.next()
		if err != nil {
			return 0, fmt.Errorf("read object: %w", err)
		}
		o.chunk = msg.Data()
		if uint64(len(o.chunk)) > o.left {
			return 0, fmt.Errorf("read object: %w", errObjectDigest)
		}
	}
	n := copy(p, o.chunk)
	o.sum.Write(o.chunk[:n])
	o.chunk = o.chunk[n:]
	o.left -= uint64(n)
	return n, nil
}

// Close ends the reading, wherever it is.
func (o *object) Close() error {
	o.chunks.Stop()
	o.cancel()
	o.drop()
	return nil
}
