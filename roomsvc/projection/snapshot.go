package projection

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"time"

	"github.com/roombus/roombus/room"
	"github.com/roombus/roombus/room/rules"
)

// A snapshot is the projection as a file of frames. A frame is a byte for its kind, the length of
// the payload in four bytes, big endian, and the payload:
//
//	head      JSON: the format, the stream, and the consumed sequence when the writing began
//	rooms     zero or more frames: for each room the id and the state, each after its length as
//	          a varint
//	commands  zero or more frames: for each recently committed command the id, after its length,
//	          and the sequence of its event, both varints
//	tail      JSON: the consumed sequence when the writing ended, and checksums of the whole
//	hash      SHA-256 of all bytes before its frame
//
// The rooms are written in batches, and the projection goes on meanwhile. So a room may be ahead of
// the head's sequence, but not of the tail's. A reader of the snapshot reads the stream from behind
// the head's sequence and skips events that a room already has. Quarantined messages up to the
// tail's sequence are in the count and are not counted again. The commands are those remembered
// when all rooms had been written.
//
// A snapshot is not compressed. The object store compresses on disk, and the transfer of a few
// seconds is not worth a dependency.
const (
	snapshotFormat = 4
	updatesFormat  = 4 // the first whose writer knows the events of updates, and does not quarantine them
	timesFormat    = 3 // the first with the times of the last events of rooms
	oldestFormat   = 2
)

const (
	frameHead     = 'H'
	frameRooms    = 'R'
	frameCommands = 'C'
	frameTail     = 'T'
	frameHash     = '#'
)

// Bounds of a frame: rooms encoded under one hold of the projection's lock, and bytes.
const (
	frameRoomsMax = 256
	frameBytes    = 128 << 10
)

type snapshotHead struct {
	Format int       `json:"format"`
	Stream time.Time `json:"stream"` // when the stream was created
	Seq    uint64    `json:"seq"`
}

type snapshotTail struct {
	Seq         uint64    `json:"seq"`
	ID          string    `json:"id,omitempty"` // of the message at Seq
	Stored      time.Time `json:"stored"`       // when the message was
	Quarantined uint64    `json:"quarantined"`
	Rooms       int       `json:"rooms"`
	Sum         uint64    `json:"sum"` // of the hashes of the rooms
	// Purged is the number of messages purged from the stream when it was last known to have the
	// events of every live room.
	Purged *uint64 `json:"purged,omitempty"`
}

// errStreamChanged is returned when a snapshot cannot be finished because the projection was reset.
var errStreamChanged = errors.New("the projection was reset meanwhile")

// snapshotWriter writes one snapshot.
type snapshotWriter struct {
	p      *Projection
	resets int
	batch  int // rooms in a frame
	head   snapshotHead
	tail   snapshotTail
}

func newSnapshot(p *Projection) *snapshotWriter {
	p.mu.RLock()
	defer p.mu.RUnlock()
	return &snapshotWriter{
		p: p, resets: p.resets, batch: frameRoomsMax,
		head: snapshotHead{Format: snapshotFormat, Stream: p.stream, Seq: p.progress.consumed},
	}
}

// write writes the snapshot. The projection must be following the stream meanwhile: write waits
// until it has read the commits in the written rooms.
func (s *snapshotWriter) write(ctx context.Context, w io.Writer) error {
	out := frameWriter{w: w, sum: sha256.New()}
	out.json(frameHead, s.head)
	if err := s.rooms(&out); err != nil {
		return err
	}
	if err := s.p.AwaitSeq(ctx, s.p.Highest()); err != nil {
		return err
	}
	remembered, err := s.end()
	if err != nil {
		return err
	}
	for _, g := range remembered {
		var frame []byte
		for id, seq := range g.seqs {
			frame = binary.AppendUvarint(appendText(frame, []byte(id)), seq)
			if len(frame) >= frameBytes {
				out.frame(frameCommands, frame)
				frame = frame[:0]
			}
		}
		out.frame(frameCommands, frame)
	}
	out.json(frameTail, s.tail)
	out.frame(frameHash, out.sum.Sum(nil))
	return out.err
}

// rooms writes the rooms. It releases the lock after every frame. Iterating over a map that is
// changed between two steps is well defined. The iteration may miss new rooms, whose events are all
// behind the head's sequence.
func (s *snapshotWriter) rooms(out *frameWriter) error {
	s.p.mu.RLock()
	defer s.p.mu.RUnlock()
	var frame, state []byte
	for id, r := range s.p.rooms.byID {
		if s.p.resets != s.resets {
			return errStreamChanged
		}
		if r.Seq == 0 {
			continue
		}
		var err error
		if state, err = r.AppendBinary(state[:0]); err != nil {
			return fmt.Errorf("room %s: %w", id, err)
		}
		frame = appendText(appendText(frame, []byte(id)), state)
		s.tail.Rooms++
		s.tail.Sum += r.Hash(id)
		if s.tail.Rooms%s.batch == 0 || len(frame) >= frameBytes {
			s.p.mu.RUnlock()
			out.frame(frameRooms, frame)
			s.p.mu.RLock()
			if out.err != nil {
				return out.err
			}
			frame = frame[:0]
		}
	}
	s.p.mu.RUnlock()
	out.frame(frameRooms, frame)
	s.p.mu.RLock()
	return out.err
}

// end fills the tail, and returns the remembered commands.
func (s *snapshotWriter) end() ([]generation, error) {
	s.p.mu.Lock()
	defer s.p.mu.Unlock()
	if s.p.resets != s.resets {
		return nil, errStreamChanged
	}
	read := &s.p.progress
	s.tail.Seq, s.tail.ID, s.tail.Stored, s.tail.Quarantined = read.consumed, read.newest.id, read.newest.stored, read.quarantined
	s.tail.Purged = read.purged
	return s.p.rooms.dedupe.freeze(), nil
}

// errDamaged is returned for a snapshot that is not as it was written.
var errDamaged = errors.New("it is damaged")

// readSnapshot reads a snapshot to its end and makes a projection from it. It returns errDamaged
// unless every byte is as it was written, and an error if the format is unknown. Its memory use is
// a small multiple of the bytes that it could read.
func readSnapshot(r io.Reader) (*Projection, snapshotTail, error) {
	in := frameReader{r: bufio.NewReaderSize(r, frameBytes), sum: sha256.New()}
	var head snapshotHead
	if kind, payload := in.next(); kind != frameHead || json.Unmarshal(payload, &head) != nil {
		return nil, snapshotTail{}, errors.Join(in.err, fmt.Errorf("%w: it has no head", errDamaged))
	}
	if head.Format < oldestFormat || head.Format > snapshotFormat {
		return nil, snapshotTail{}, fmt.Errorf("it has format %d, this version of roombus reads %d to %d", head.Format, oldestFormat, snapshotFormat)
	}
	p := newProjection(head.Stream)
	commands := make(map[string]uint64)
	var highest uint64
	for {
		switch kind, payload := in.next(); kind {
		case frameRooms:
			for len(payload) > 0 && in.err == nil {
				var seq uint64
				seq, payload = in.room(&p.rooms, payload)
				highest = max(highest, seq)
			}
		case frameCommands:
			for len(payload) > 0 && in.err == nil {
				payload = in.command(commands, payload)
			}
		case frameTail:
			var tail snapshotTail
			if err := json.Unmarshal(payload, &tail); err != nil {
				return nil, tail, fmt.Errorf("%w: its tail: %w", errDamaged, err)
			}
			if err := in.end(); err != nil {
				return nil, tail, err
			}
			if len(p.rooms.byID) != tail.Rooms || p.rooms.sum != tail.Sum || highest > tail.Seq || head.Seq > tail.Seq {
				return nil, tail, fmt.Errorf("%w: its content does not match its tail", errDamaged)
			}
			if head.Format < updatesFormat && tail.Quarantined > 0 {
				return nil, tail, fmt.Errorf("it is of an earlier version, which quarantined %d messages that may be updates", tail.Quarantined)
			}
			p.progress = progress{
				consumed: head.Seq, committed: tail.Seq, newest: stamp{tail.ID, tail.Stored},
				quarantined: tail.Quarantined, counted: tail.Seq,
			}
			p.rooms.dedupe.begin(time.Now(), commands)
			if head.Format < timesFormat {
				for _, state := range p.rooms.byID {
					state.NotBefore(tail.Stored)
				}
			}
			p.rooms.index.load(p.rooms.byID)
			p.rooms.recall()
			return p, tail, nil
		default:
			return nil, snapshotTail{}, errors.Join(in.err, fmt.Errorf("%w: unexpected frame of kind %q", errDamaged, kind))
		}
		if in.err != nil {
			return nil, snapshotTail{}, in.err
		}
	}
}

// frameWriter keeps the first error and writes nothing after it.
type frameWriter struct {
	w   io.Writer
	sum hash.Hash
	err error
}

func (f *frameWriter) json(kind byte, v any) {
	payload, _ := json.Marshal(v) // numbers, text and times do not fail
	f.frame(kind, payload)
}

func (f *frameWriter) frame(kind byte, payload []byte) {
	if f.err != nil {
		return
	}
	if uint64(len(payload)) > maxFrame {
		f.err = fmt.Errorf("a frame of %d bytes is too large", len(payload))
		return
	}
	start := binary.BigEndian.AppendUint32([]byte{kind}, uint32(len(payload)))
	for _, b := range [][]byte{start, payload} {
		if f.err == nil {
			_, f.err = f.w.Write(b)
			f.sum.Write(b)
		}
	}
}

const maxFrame = 1<<32 - 1

// frameReader keeps the first error and reads nothing after it.
type frameReader struct {
	r       *bufio.Reader
	sum     hash.Hash
	payload bytes.Buffer
	err     error
}

// next returns the next frame. The payload is valid until the next call.
func (f *frameReader) next() (kind byte, payload []byte) {
	start := make([]byte, 5)
	if _, f.err = io.ReadFull(f.r, start); f.err != nil {
		f.err = fmt.Errorf("%w: it ends too early: %w", errDamaged, f.err)
		return 0, nil
	}
	f.payload.Reset()
	// CopyN allocates as it reads: the length may be wrong.
	if _, f.err = io.CopyN(&f.payload, f.r, int64(binary.BigEndian.Uint32(start[1:]))); f.err != nil {
		f.err = fmt.Errorf("%w: it ends too early: %w", errDamaged, f.err)
		return 0, nil
	}
	if start[0] != frameHash {
		f.sum.Write(start)
		f.sum.Write(f.payload.Bytes())
	}
	return start[0], f.payload.Bytes()
}

// room adds the first room of the frame to the rooms. It returns the sequence of the room and
// the rest of the frame.
func (f *frameReader) room(r *rooms, frame []byte) (seq uint64, rest []byte) {
	name, frame, ok := takeText(frame)
	state, frame, ok2 := takeText(frame)
	id := string(name)
	s, err := rules.DecodeState(id, state)
	if !ok || !ok2 || err != nil || !room.IsToken(id) || s.Seq == 0 || r.byID[id] != nil {
		f.err = errors.Join(fmt.Errorf("%w: room %q", errDamaged, id), err)
		return 0, nil
	}
	r.byID[id] = s
	r.sum += s.Hash(id)
	return s.Seq, frame
}

// command adds the first command of the frame. It returns the rest of the frame.
func (f *frameReader) command(commands map[string]uint64, frame []byte) (rest []byte) {
	id, frame, ok := takeText(frame)
	seq, size := binary.Uvarint(frame)
	if !ok || size <= 0 {
		f.err = fmt.Errorf("%w: command %q", errDamaged, id)
		return nil
	}
	commands[string(id)] = seq
	return frame[size:]
}

// end checks the hash, and that nothing follows it.
func (f *frameReader) end() error {
	want := f.sum.Sum(nil)
	kind, payload := f.next()
	if f.err != nil {
		return f.err
	}
	if kind != frameHash || !bytes.Equal(payload, want) {
		return fmt.Errorf("%w: its hash does not match", errDamaged)
	}
	switch _, err := f.r.ReadByte(); {
	case errors.Is(err, io.EOF):
		return nil
	case err != nil:
		return err
	}
	return fmt.Errorf("%w: bytes follow its hash", errDamaged)
}

func appendText(b, text []byte) []byte {
	return append(binary.AppendUvarint(b, uint64(len(text))), text...)
}

func takeText(b []byte) (text, rest []byte, ok bool) {
	n, size := binary.Uvarint(b)
	if size <= 0 || n > uint64(len(b)-size) {
		return nil, nil, false
	}
	return b[size:][:n], b[size:][n:], true
}
