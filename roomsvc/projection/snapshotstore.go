package projection

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"iter"
	"slices"
	"strconv"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/nats-io/nuid"

	"github.com/roombus/roombus/bus"
	"github.com/roombus/roombus/subjects"
)

// Snapshots is the object store with the snapshot of the projection, shared by all services. This
// package writes and reads objects part by part, in the format of the object store. The client of
// the store sends all parts at once, ahead of other messages on the connection. The server refuses
// them if it cannot store them fast enough. The client waits for missing parts until its timeout.
type Snapshots struct {
	js       jetstream.JetStream
	busy     chan struct{} // held while a snapshot is written
	restored uint64        // the sequence of the snapshot that the service started from
	refused  string        // the id of an object that was unusable
}

// NewSnapshots returns the store. Its stream need not exist.
func NewSnapshots(js jetstream.JetStream) *Snapshots {
	return &Snapshots{js: js, busy: make(chan struct{}, 1)}
}

// stored is the metadata of the object, and the sequence of the message that has it.
type stored struct {
	jetstream.ObjectInfo
	seq uint64
}

// errNoSnapshot is returned when there is no snapshot or no store.
var errNoSnapshot = errors.New("there is no snapshot")

// current returns the current object. With errNoSnapshot it still returns the sequence.
func (s *Snapshots) current(ctx context.Context) (stored, error) {
	var is stored
	stream, err := s.js.Stream(ctx, subjects.SnapshotsStream)
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		return is, errNoSnapshot
	}
	if err != nil {
		return is, fmt.Errorf("opening the bucket %s: %w", subjects.Snapshots, err)
	}
	msg, err := stream.GetLastMsgForSubject(ctx, subjects.SnapshotMeta())
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return is, errNoSnapshot
	}
	if err != nil {
		return is, fmt.Errorf("looking up the current snapshot: %w", err)
	}
	is.seq = msg.Sequence
	if err := json.Unmarshal(msg.Data, &is.ObjectInfo); err != nil || is.Deleted {
		return stored{seq: is.seq}, errNoSnapshot
	}
	return is, nil
}

// End returns the sequence of the stream up to which the current snapshot goes; 0 if there is none.
func (s *Snapshots) End(ctx context.Context) (uint64, error) {
	is, err := s.current(ctx)
	if errors.Is(err, errNoSnapshot) {
		return 0, nil
	}
	return is.end(), err
}

// covers returns the sequence of the snapshot in the object, 0 if this service could not use it.
func (s *Snapshots) covers(object stored, head snapshotHead) uint64 {
	stream, _ := time.Parse(time.RFC3339Nano, object.Metadata[metaStream])
	if object.NUID == s.refused || !stream.Equal(head.Stream) {
		return 0
	}
	return object.end()
}

// end returns the sequence of the stream up to which the snapshot goes; 0 if the object is no
// snapshot.
func (s stored) end() uint64 {
	seq, _ := strconv.ParseUint(s.Metadata[metaSeq], 10, 64)
	return seq
}

// Discard removes every snapshot.
func (s *Snapshots) Discard(ctx context.Context) error {
	stream, err := s.js.Stream(ctx, subjects.SnapshotsStream)
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		return nil
	}
	if err == nil {
		err = stream.Purge(ctx)
	}
	if err != nil {
		return fmt.Errorf("removing the snapshot of the lost stream: %w", err)
	}
	return nil
}

// Keys of the metadata of an object.
const (
	metaFormat = "format"
	metaStream = "stream-created"
	metaSeq    = "seq"
)

// upload writes an object into the store. It sends each part when the one before is acknowledged.
type upload struct {
	ctx    context.Context
	js     jetstream.JetStream
	info   jetstream.ObjectInfo
	digest hash.Hash
}

func (s *Snapshots) newObject(ctx context.Context, head snapshotHead) *upload {
	return &upload{ctx: ctx, js: s.js, digest: sha256.New(), info: jetstream.ObjectInfo{
		Bucket: subjects.Snapshots,
		NUID:   nuid.Next(),
		ObjectMeta: jetstream.ObjectMeta{
			Name:        subjects.Snapshot,
			Description: fmt.Sprintf("rooms and members as of sequence %d of %s; may be deleted", head.Seq, subjects.Events),
			Metadata: map[string]string{
				metaFormat: strconv.Itoa(head.Format),
				metaStream: head.Stream.Format(time.RFC3339Nano),
				metaSeq:    strconv.FormatUint(head.Seq, 10),
			},
			Opts: &jetstream.ObjectMetaOptions{ChunkSize: frameBytes},
		},
	}}
}

func (u *upload) Write(b []byte) (n int, err error) {
	for part := range slices.Chunk(b, frameBytes) {
		msg := &nats.Msg{Subject: subjects.SnapshotParts(u.info.NUID), Data: part}
		if _, err := u.js.PublishMsg(u.ctx, msg); err != nil {
			return n, fmt.Errorf("storing a part: %w", err)
		}
		// gofail: var duringSnapshot struct{}
		u.digest.Write(part)
		u.info.Chunks++
		u.info.Size += uint64(len(part))
		n += len(part)
	}
	return n, nil
}

// replace makes the object the current one, unless another service has replaced the current one
// since.
func (u *upload) replace(there stored) error {
	u.info.Digest = jetstream.GetObjectDigestValue(u.digest)
	data, err := json.Marshal(u.info)
	if err != nil {
		return fmt.Errorf("encoding the metadata of the object: %w", err)
	}
	msg := &nats.Msg{
		Subject: subjects.SnapshotMeta(), Data: data,
		Header: nats.Header{jetstream.MsgRollup: {jetstream.MsgRollupSubject}},
	}
	if _, err := u.js.PublishMsg(u.ctx, msg, jetstream.WithExpectLastSequencePerSubject(there.seq)); err != nil {
		return fmt.Errorf("storing the metadata of the object: %w", err)
	}
	return nil
}

// remove deletes the parts of an object that was replaced or not finished. After a failure sweep
// deletes them later.
func (s *Snapshots) remove(ctx context.Context, id string) {
	if id == "" {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), removeTimeout)
	defer cancel()
	if stream, err := s.js.Stream(ctx, subjects.SnapshotsStream); err == nil {
		_ = stream.Purge(ctx, jetstream.WithPurgeSubject(subjects.SnapshotParts(id)))
	}
}

const removeTimeout = time.Second

// unfinishedFor is the minimum age of the last part of an unfinished object before sweep deletes
// it.
const unfinishedFor = time.Hour

// sweep deletes the parts of objects whose writers died.
func (s *Snapshots) sweep(ctx context.Context, current string, unfinishedFor time.Duration) {
	// gofail: var sweepAtOnce struct{}
	// unfinishedFor = 0
	stream, err := s.js.Stream(ctx, subjects.SnapshotsStream)
	if err != nil {
		return
	}
	info, err := stream.Info(ctx, jetstream.WithSubjectFilter(subjects.SnapshotParts("*")))
	if err != nil {
		return
	}
	for parts := range info.State.Subjects {
		last, err := stream.GetLastMsgForSubject(ctx, parts)
		if err == nil && parts != subjects.SnapshotParts(current) && time.Since(last.Time) >= unfinishedFor {
			_ = stream.Purge(ctx, jetstream.WithPurgeSubject(parts))
		}
	}
}

// parts reads an object. It does not check the object's hash, since a snapshot has its own.
type parts struct {
	next func() (*jetstream.RawStreamMsg, error, bool)
	stop func()
	rest []byte
}

func (s *Snapshots) read(ctx context.Context, id string) *parts {
	var p parts
	p.next, p.stop = iter.Pull2(bus.Read(ctx, s.js, subjects.SnapshotsStream, jetstream.OrderedConsumerConfig{
		FilterSubjects: []string{subjects.SnapshotParts(id)},
	}, false))
	return &p
}

func (p *parts) Read(b []byte) (int, error) {
	for len(p.rest) == 0 {
		msg, err, more := p.next()
		if err != nil {
			return 0, err
		}
		if !more {
			return 0, io.EOF
		}
		p.rest = msg.Data
	}
	n := copy(b, p.rest)
	p.rest = p.rest[n:]
	return n, nil
}
