package roomsvc

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
)

// A snapshot is the projection as a file of frames. Each is a byte that says its kind, the
// length of what follows in four bytes, big endian, and that:
//
//	head      JSON: the format, the stream, and the sequence that had been consumed when the
//	          writing began
//	rooms     any number of them: of each room the id and the state, each with its length
//	          before it, a varint
//	commands  any number of them: of each command lately committed the id, with its length
//	          before it, and the sequence of its event, both varints
//	tail      JSON: the sequence that had been consumed when the writing ended, and what the
//	          whole must come to
//	hash      SHA-256 of all that is before its frame
//
// The rooms are written some at a time, and the projection goes on meanwhile. So a room may be
// ahead of the head's sequence, but not of the tail's. Whoever reads the snapshot reads the
// stream from behind the head's sequence and passes over what a room has already. Messages up
// to the tail's sequence have been counted, if they were quarantined, and are not again; the
// commands are those that were remembered when all rooms had been written.
//
// It is not compressed: the object store is, on its disk, and on the way a few seconds' worth
// of bytes are not worth a dependency.
const (
	snapshotFormat = 3
	oldestFormat   = 2 // without the times of the rooms' last events
)

const (
	frameHead     = 'H'
	frameRooms    = 'R'
	frameCommands = 'C'
	frameTail     = 'T'
	frameHash     = '#'
)

// How much is encoded under the projection's lock at a time, and written.
const (
	frameRoomsMax = 256
	frameBytes    = 128 << 10
)

type snapshotHead struct {
	Format int       `json:"format"`
	Stream time.Time `json:"stream"` // when it was created
	Seq    uint64    `json:"seq"`
}

type snapshotTail struct {
	Seq         uint64    `json:"seq"`
	ID          string    `json:"id,omitempty"` // of the message that has it
	Stored      time.Time `json:"stored"`       // when that was
	Quarantined uint64    `json:"quarantined"`
	Rooms       int       `json:"rooms"`
	Sum         uint64    `json:"sum"` // of the hashes of the rooms
	// Purged is how many messages had been purged from the stream when it was last known to have the
	// events of every live room.
	Purged *uint64 `json:"purged,omitempty"`
}

// errStreamChanged is returned when a snapshot cannot be finished since the projection has
// been made anew.
var errStreamChanged = errors.New("the stream has become another one meanwhile")

// snapshotWriter writes one snapshot.
type snapshotWriter struct {
	p      *projection
	resets int
	batch  int // rooms in a frame
	head   snapshotHead
	tail   snapshotTail
}

func (p *projection) newSnapshot() *snapshotWriter {
	p.mu.RLock()
	defer p.mu.RUnlock()
	return &snapshotWriter{
		p: p, resets: p.resets, batch: frameRoomsMax,
		head: snapshotHead{Format: snapshotFormat, Stream: p.stream, Seq: p.consumed},
	}
}

// write needs the projection to be kept up with the stream meanwhile, as it waits until what
// rooms have by commits has come from there.
func (s *snapshotWriter) write(ctx context.Context, w io.Writer) error {
	out := frameWriter{w: w, sum: sha256.New()}
	out.json(frameHead, s.head)
	if err := s.rooms(&out); err != nil {
		return err
	}
	if err := s.p.awaitSeq(ctx, s.p.highest()); err != nil {
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

// rooms gives up the lock after every frame. A loop over a map that others write to between
// two of its steps is well defined; it may miss rooms that come while it runs, whose events
// are all behind the head's sequence.
func (s *snapshotWriter) rooms(out *frameWriter) error {
	s.p.mu.RLock()
	defer s.p.mu.RUnlock()
	var frame, state []byte
	for id, r := range s.p.rooms {
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

// end takes down what the projection has come to.
func (s *snapshotWriter) end() ([]generation, error) {
	s.p.mu.Lock()
	defer s.p.mu.Unlock()
	if s.p.resets != s.resets {
		return nil, errStreamChanged
	}
	s.tail.Seq, s.tail.ID, s.tail.Stored, s.tail.Quarantined = s.p.consumed, s.p.newest.id, s.p.newest.stored, s.p.quarantined
	s.tail.Purged = s.p.purged
	return s.p.dedupe.freeze(), nil
}

// errDamaged is why a snapshot is not one that was written so.
var errDamaged = errors.New("it is damaged")

// readSnapshot reads a snapshot to its end and makes a projection of it. It returns errDamaged,
// or an error that says that the format is another, unless all of it is as it was written. It
// takes no more memory than a few times what it could read.
func readSnapshot(r io.Reader) (*projection, snapshotTail, error) {
	in := frameReader{r: bufio.NewReaderSize(r, frameBytes), sum: sha256.New()}
	var head snapshotHead
	if kind, payload := in.next(); kind != frameHead || json.Unmarshal(payload, &head) != nil {
		return nil, snapshotTail{}, errors.Join(in.err, fmt.Errorf("%w: it does not begin as a snapshot", errDamaged))
	}
	if head.Format < oldestFormat || head.Format > snapshotFormat {
		return nil, snapshotTail{}, fmt.Errorf("it is of format %d, this version of roombus reads %d to %d", head.Format, oldestFormat, snapshotFormat)
	}
	p := newProjection(head.Stream)
	commands := make(map[string]uint64)
	var highest uint64
	for {
		switch kind, payload := in.next(); kind {
		case frameRooms:
			for len(payload) > 0 && in.err == nil {
				var seq uint64
				seq, payload = in.room(p, payload)
				highest = max(highest, seq)
			}
		case frameCommands:
			for len(payload) > 0 && in.err == nil {
				payload = in.command(commands, payload)
			}
		case frameTail:
			var tail snapshotTail
			if err := json.Unmarshal(payload, &tail); err != nil {
				return nil, tail, fmt.Errorf("%w: its end: %w", errDamaged, err)
			}
			if err := in.end(); err != nil {
				return nil, tail, err
			}
			if len(p.rooms) != tail.Rooms || p.sum != tail.Sum || highest > tail.Seq || head.Seq > tail.Seq {
				return nil, tail, fmt.Errorf("%w: it does not come to what its end says", errDamaged)
			}
			p.consumed, p.committed = head.Seq, tail.Seq
			p.newest = stamp{tail.ID, tail.Stored}
			p.quarantined, p.counted = tail.Quarantined, tail.Seq
			p.dedupe.begin(time.Now(), commands)
			if head.Format < snapshotFormat {
				for _, state := range p.rooms {
					state.NotBefore(tail.Stored)
				}
			}
			p.index()
			p.recall()
			return p, tail, nil
		default:
			return nil, snapshotTail{}, errors.Join(in.err, fmt.Errorf("%w: a frame of kind %q is out of place", errDamaged, kind))
		}
		if in.err != nil {
			return nil, snapshotTail{}, in.err
		}
	}
}

// frameWriter remembers the first error; from then on it writes nothing.
type frameWriter struct {
	w   io.Writer
	sum hash.Hash
	err error
}

func (f *frameWriter) json(kind byte, v any) {
	payload, _ := json.Marshal(v) // numbers, text and times
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

// frameReader remembers the first error; from then on it reads nothing.
type frameReader struct {
	r       *bufio.Reader
	sum     hash.Hash
	payload bytes.Buffer
	err     error
}

// next is the next frame, good until the one after it.
func (f *frameReader) next() (kind byte, payload []byte) {
	start := make([]byte, 5)
	if _, f.err = io.ReadFull(f.r, start); f.err != nil {
		f.err = fmt.Errorf("%w: it ends too early: %w", errDamaged, f.err)
		return 0, nil
	}
	f.payload.Reset()
	// Not at once as much as the length says, which may be wrong.
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

// room adds the first room of the frame to the projection. It returns the room's sequence and
// the rest of the frame.
func (f *frameReader) room(p *projection, frame []byte) (seq uint64, rest []byte) {
	name, frame, ok := takeText(frame)
	state, frame, ok2 := takeText(frame)
	id := string(name)
	s, err := room.DecodeState(id, state)
	if !ok || !ok2 || err != nil || !room.IsToken(id) || s.Seq == 0 || p.rooms[id] != nil {
		f.err = errors.Join(fmt.Errorf("%w: room %q", errDamaged, id), err)
		return 0, nil
	}
	p.rooms[id] = s
	p.sum += s.Hash(id)
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

// end checks that nothing but the right hash follows.
func (f *frameReader) end() error {
	want := f.sum.Sum(nil)
	kind, payload := f.next()
	if f.err != nil {
		return f.err
	}
	if kind != frameHash || !bytes.Equal(payload, want) {
		return fmt.Errorf("%w: its hash is another", errDamaged)
	}
	switch _, err := f.r.ReadByte(); {
	case errors.Is(err, io.EOF):
		return nil
	case err != nil:
		return err // the object store's own hash is checked here
	}
	return fmt.Errorf("%w: it goes on after its end", errDamaged)
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
