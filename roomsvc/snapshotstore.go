package roomsvc

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"math/rand/v2"
	"strconv"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/roombus/roombus/bus"
	"github.com/roombus/roombus/subjects"
)

// How long reading or writing a snapshot may take.
const snapshotTimeout = time.Minute

// snapshots are where the projection is kept between two runs of a service. Nothing rests on
// them but the time that starting takes: whatever fails is logged, and that is that. All
// services share one snapshot.
type snapshots struct {
	js       jetstream.JetStream
	nc       *nats.Conn
	replicas int
	every    int           // events between two of them; negative: none while the service runs
	jitter   time.Duration // up to so long is waited, lest all services write at once
	busy     chan struct{} // one is written at a time
	restored uint64        // the sequence of the one that the service began with
	refused  string        // the id of the object that could not be used
}

func newSnapshots(js jetstream.JetStream, nc *nats.Conn, cfg Config) *snapshots {
	return &snapshots{
		js: js, nc: nc, replicas: cfg.Replicas, every: cfg.SnapshotEvery,
		jitter: 5 * time.Second, busy: make(chan struct{}, 1),
	}
}

// restore begins the projection with the snapshot, if there is one that is of this stream.
func (s *Service) restore(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, snapshotTimeout)
	defer cancel()
	info, err := s.stream.Info(ctx)
	if err == nil && info.State.LastSeq == 0 {
		return
	}
	var p *projection
	if err == nil {
		p, err = s.readSnapshot(ctx, info)
	}
	switch {
	case errors.Is(err, jetstream.ErrBucketNotFound), errors.Is(err, jetstream.ErrObjectNotFound):
		s.log.Info("there is no snapshot; the whole stream is read", "messages", info.State.Msgs)
	case err != nil:
		s.log.Warn("the snapshot cannot be used; the whole stream is read instead", "bucket", subjects.Snapshots, "error", err)
	default:
		s.projection, s.snapshots.restored = p, p.last()
		s.log.Info("read the snapshot", "seq", p.last(), "rooms", len(p.rooms))
	}
}

// readSnapshot reads the snapshot that there is. If another has taken its place meanwhile, and
// its parts are gone, that one is read.
func (s *Service) readSnapshot(ctx context.Context, stream *jetstream.StreamInfo) (*projection, error) {
	store, err := s.js.ObjectStore(ctx, subjects.Snapshots)
	if err != nil {
		return nil, err
	}
	var unusable error
	for {
		object, err := store.GetInfo(ctx, subjects.Snapshot)
		if err != nil {
			return nil, err
		}
		if object.NUID == s.snapshots.refused {
			return nil, unusable
		}
		var p *projection
		if p, unusable = s.readObject(ctx, stream, object.NUID); unusable == nil {
			return p, nil
		}
		s.snapshots.refused = object.NUID
	}
}

func (s *Service) readObject(ctx context.Context, stream *jetstream.StreamInfo, id string) (*projection, error) {
	file := newParts(bus.Read(ctx, s.js, subjects.SnapshotsStream, jetstream.OrderedConsumerConfig{
		FilterSubjects: []string{subjects.SnapshotParts(id)},
	}, false))
	defer file.stop()
	p, tail, err := readSnapshot(file)
	if err != nil {
		return nil, err
	}
	return p, s.isOf(ctx, stream, p, tail)
}

// parts is an object as a file. The object store's own reader would wait for parts that are
// gone until its time is up; that it checks a hash is no loss, a snapshot has one.
type parts struct {
	next func() (*jetstream.RawStreamMsg, error, bool)
	stop func()
	rest []byte
}

func newParts(messages iter.Seq2[*jetstream.RawStreamMsg, error]) *parts {
	var p parts
	p.next, p.stop = iter.Pull2(messages)
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

// isOf returns an error unless what the projection has come from is the beginning of the stream.
func (s *Service) isOf(ctx context.Context, stream *jetstream.StreamInfo, p *projection, tail snapshotTail) error {
	if !p.stream.Equal(stream.Created) {
		return fmt.Errorf("it is of a stream created at %s, this one was at %s", p.stream, stream.Created)
	}
	if tail.Seq > stream.State.LastSeq {
		return fmt.Errorf("it goes to sequence %d, the stream ends at %d", tail.Seq, stream.State.LastSeq)
	}
	msg, err := s.stream.GetMsg(ctx, tail.Seq)
	if err != nil {
		return fmt.Errorf("looking for its last message, %d: %w", tail.Seq, err)
	}
	if id := msg.Header.Get(subjects.ID); id != tail.ID || !msg.Time.Equal(tail.Stored) {
		return fmt.Errorf("message %d of the stream is %q of %s, it was %q of %s", tail.Seq, id, msg.Time, tail.ID, tail.Stored)
	}
	return nil
}

// takeSnapshots writes a snapshot after every so many events, until the context ends.
func (s *Service) takeSnapshots(ctx context.Context) {
	every := s.snapshots.every
	if every < 0 {
		return
	}
	last := s.snapshots.restored
	for s.projection.reach(ctx, last+uint64(every)) == nil {
		select {
		case <-time.After(rand.N(s.snapshots.jitter)):
		case <-ctx.Done():
			return
		}
		last = s.takeSnapshot(ctx, uint64(every))
	}
}

// takeLastSnapshot writes a snapshot if anything has happened since the latest.
func (s *Service) takeLastSnapshot(ctx context.Context) {
	if s.ctx.Err() != nil {
		return // it was stopped before
	}
	if !s.nc.IsConnected() {
		s.log.Warn("cannot write a snapshot", "error", nats.ErrDisconnected)
		return
	}
	s.takeSnapshot(ctx, 1)
}

// takeSnapshot writes a snapshot unless there is one that less than so many events are missing
// in. It returns the sequence that it is of, or would be.
func (s *Service) takeSnapshot(ctx context.Context, missing uint64) uint64 {
	ctx, cancel := context.WithTimeout(ctx, snapshotTimeout)
	defer cancel()
	start := time.Now()
	select {
	case s.snapshots.busy <- struct{}{}:
		defer func() { <-s.snapshots.busy }()
	case <-ctx.Done():
		return s.projection.last()
	}
	snapshot := s.projection.newSnapshot()
	object, err := s.snapshots.put(ctx, snapshot, missing)
	switch {
	case err != nil:
		s.log.Warn("cannot write a snapshot", "seq", snapshot.head.Seq, "error", err)
	case object != nil:
		s.log.Info("wrote a snapshot", "seq", snapshot.head.Seq, "rooms", snapshot.tail.Rooms, "bytes", object.Size, "took", time.Since(start))
	}
	return snapshot.head.Seq
}

// put returns nil if there is no need for another.
func (s *snapshots) put(ctx context.Context, snapshot *snapshotWriter, missing uint64) (*jetstream.ObjectInfo, error) {
	store, err := s.open(ctx)
	if err != nil {
		return nil, err
	}
	if seq, err := s.stored(ctx, store, snapshot.head); err != nil || snapshot.head.Seq < seq+missing {
		return nil, err
	}
	file, in := io.Pipe()
	written := make(chan struct{})
	go func() {
		defer close(written)
		out := bufio.NewWriterSize(&paced{w: in, ctx: ctx, nc: s.nc}, frameBytes)
		in.CloseWithError(errors.Join(snapshot.write(ctx, out), out.Flush()))
	}()
	object, err := store.Put(ctx, jetstream.ObjectMeta{
		Name:        subjects.Snapshot,
		Description: fmt.Sprintf("rooms and members as of sequence %d of %s; may be deleted", snapshot.head.Seq, subjects.Events),
		Metadata: map[string]string{
			metaFormat: strconv.Itoa(snapshot.head.Format),
			metaStream: snapshot.head.Stream.Format(time.RFC3339Nano),
			metaSeq:    strconv.FormatUint(snapshot.head.Seq, 10),
		},
		Opts: &jetstream.ObjectMetaOptions{ChunkSize: frameBytes},
	}, file)
	file.CloseWithError(io.ErrClosedPipe)
	<-written
	if err != nil {
		return nil, err
	}
	return object, s.sweep(ctx, object)
}

// What an object says of the snapshot in it.
const (
	metaFormat = "format"
	metaStream = "stream-created"
	metaSeq    = "seq"
)

func (s *snapshots) open(ctx context.Context) (jetstream.ObjectStore, error) {
	store, err := s.js.CreateObjectStore(ctx, jetstream.ObjectStoreConfig{
		Bucket:      subjects.Snapshots,
		Description: "what room services start from, lest they read the whole stream of events",
		Storage:     jetstream.FileStorage,
		Replicas:    s.replicas,
		Compression: true,
	})
	if errors.Is(err, jetstream.ErrBucketExists) {
		store, err = s.js.ObjectStore(ctx, subjects.Snapshots)
	}
	if err != nil {
		return nil, fmt.Errorf("opening the bucket %s: %w", subjects.Snapshots, err)
	}
	return store, nil
}

// stored is the sequence of the snapshot that there is, 0 if there is none that could be used.
func (s *snapshots) stored(ctx context.Context, store jetstream.ObjectStore, head snapshotHead) (uint64, error) {
	object, err := store.GetInfo(ctx, subjects.Snapshot)
	if errors.Is(err, jetstream.ErrObjectNotFound) {
		return 0, nil
	}
	if err != nil {
		return 0, fmt.Errorf("looking at the snapshot that there is: %w", err)
	}
	stream, _ := time.Parse(time.RFC3339Nano, object.Metadata[metaStream])
	if object.NUID == s.refused || !stream.Equal(head.Stream) {
		return 0, nil
	}
	seq, _ := strconv.ParseUint(object.Metadata[metaSeq], 10, 64) // without one it is not ours
	return seq, nil
}

// unfinishedFor is how long ago the last part of an object came at least before it counts as
// one that will not be finished.
const unfinishedFor = time.Hour

// sweep removes what is left of snapshots whose writers died, or that were replaced by two at
// once.
func (s *snapshots) sweep(ctx context.Context, current *jetstream.ObjectInfo) error {
	stream, err := s.js.Stream(ctx, subjects.SnapshotsStream)
	if err != nil {
		return err
	}
	info, err := stream.Info(ctx, jetstream.WithSubjectFilter(subjects.SnapshotParts(">")))
	if err != nil {
		return err
	}
	for parts := range info.State.Subjects {
		if parts == subjects.SnapshotParts(current.NUID) {
			continue
		}
		last, err := stream.GetLastMsgForSubject(ctx, parts)
		if err != nil || time.Since(last.Time) < unfinishedFor {
			continue
		}
		if err := stream.Purge(ctx, jetstream.WithPurgeSubject(parts)); err != nil {
			return fmt.Errorf("removing an unfinished snapshot: %w", err)
		}
	}
	return nil
}

// paced lets the server take what is written before more is: on its connection the service
// also answers commands.
type paced struct {
	w   io.Writer
	ctx context.Context
	nc  *nats.Conn
}

func (p *paced) Write(b []byte) (int, error) {
	if err := p.nc.FlushWithContext(p.ctx); err != nil {
		return 0, err
	}
	return p.w.Write(b)
}
