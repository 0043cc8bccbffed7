package projection

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/roombus/roombus/room"
)

// smallSnapshot returns a snapshot with every kind of content.
func smallSnapshot(t require.TestingT) []byte {
	h := newHistory()
	for _, id := range []string{"a", "b", "gone"} {
		h.does(t, room.CreateRequest{Room: room.NewRoom{ID: id, SlugifiedName: id, Type: room.Channel}, Creator: room.User{ID: "u", Name: "U"}})
	}
	h.does(t, room.JoinRequest{RoomID: "a", User: room.User{ID: "w"}})
	h.does(t, room.DeleteRequest{RoomID: "gone"})
	h.add(room.Event{Room: "b"}, true)
	return written(t, h.all)
}

func written(t require.TestingT, p *Projection) []byte {
	var file bytes.Buffer
	require.NoError(t, newSnapshot(p).write(context.Background(), &file))
	return file.Bytes()
}

// frames splits a snapshot into its frames, with their headers.
func frames(file []byte) (all [][]byte) {
	for len(file) > 0 {
		n := 5 + binary.BigEndian.Uint32(file[1:])
		all, file = append(all, file[:n]), file[n:]
	}
	return all
}

// sealed makes a snapshot of frames with a matching hash.
func sealed(all ...[]byte) []byte {
	file := slices.Concat(all...)
	sum := sha256.Sum256(file)
	return slices.Concat(file, []byte{frameHash, 0, 0, 0, 32}, sum[:])
}

func TestReadSnapshot_FlippedBitIsFound(t *testing.T) {
	t.Parallel()
	file := smallSnapshot(t)
	_, _, err := readSnapshot(bytes.NewReader(file))
	require.NoError(t, err)
	for at := range file {
		for bit := range 8 {
			damaged := slices.Clone(file)
			damaged[at] ^= 1 << bit
			p, _, err := readSnapshot(bytes.NewReader(damaged))
			require.Error(t, err, "bit %d of byte %d", bit, at)
			require.Nil(t, p)
		}
	}
}

func TestReadSnapshot_TruncationIsFound(t *testing.T) {
	t.Parallel()
	file := smallSnapshot(t)
	for n := range file {
		_, _, err := readSnapshot(bytes.NewReader(file[:n]))
		require.ErrorIs(t, err, errDamaged, "cut to %d bytes", n)
	}
	_, _, err := readSnapshot(bytes.NewReader(append(file, 0)))
	require.ErrorIs(t, err, errDamaged, "one byte more")
}

// A writer with a bug writes a matching hash too.
func TestReadSnapshot_TailMismatchIsFound(t *testing.T) {
	t.Parallel()
	all := frames(smallSnapshot(t))
	require.Len(t, all, 5, "head, rooms, commands, tail, hash")
	_, _, err := readSnapshot(bytes.NewReader(sealed(all[:4]...)))
	require.NoError(t, err)
	seq := func(frame []byte, n int) []byte {
		return bytes.Replace(frame, []byte(`"seq":6`), fmt.Appendf(nil, `"seq":%d`, n), 1)
	}
	forged := []byte{frameRooms, 0xff, 0xff, 0xff, 0xff}
	for name, file := range map[string][]byte{
		"no head":         sealed(all[1:4]...),
		"two heads":       sealed(all[0], all[0], all[1], all[2], all[3]),
		"no rooms":        sealed(all[0], all[2], all[3]),
		"a room twice":    sealed(all[0], all[1], all[1], all[2], all[3]),
		"no tail":         sealed(all[:3]...),
		"another number":  sealed(all[0], all[1], all[2], bytes.Replace(all[3], []byte(`"rooms":3`), []byte(`"rooms":4`), 1)),
		"a room ahead":    sealed(seq(all[0], 5), all[1], all[2], seq(all[3], 5)),
		"a head ahead":    sealed(seq(all[0], 7), all[1], all[2], all[3]),
		"a forged length": slices.Concat(all[0], forged, all[1]),
		"empty":           nil,
	} {
		p, _, err := readSnapshot(bytes.NewReader(file))
		assert.ErrorIs(t, err, errDamaged, name)
		assert.Nil(t, p, name)
	}
}

func TestReadSnapshot_UnknownFormatIsRefused(t *testing.T) {
	t.Parallel()
	all := frames(smallSnapshot(t))
	for _, format := range []int{oldestFormat - 1, snapshotFormat + 1} {
		head := bytes.Replace(all[0], fmt.Appendf(nil, `"format":%d`, snapshotFormat), fmt.Appendf(nil, `"format":%d`, format), 1)
		_, _, err := readSnapshot(bytes.NewReader(sealed(head, all[1])))
		require.EqualError(t, err, fmt.Sprintf("it has format %d, this version of roombus reads %d to %d", format, oldestFormat, snapshotFormat))
	}
}

// Earlier versions quarantined updates. A snapshot that they wrote has rooms without them.
func TestReadSnapshot_EarlierVersionThatQuarantinedMessagesIsNotUsed(t *testing.T) {
	t.Parallel()
	all := frames(smallSnapshot(t))
	require.Contains(t, string(all[3]), `"quarantined":1`)
	for quarantined, says := range map[string]string{`"quarantined":0`: "", `"quarantined":1`: "it is of an earlier version, which quarantined 1 messages that may be updates"} {
		for format, refused := range map[int]bool{timesFormat: says != "", snapshotFormat: false} {
			head := bytes.Replace(all[0], fmt.Appendf(nil, `"format":%d`, snapshotFormat), fmt.Appendf(nil, `"format":%d`, format), 1)
			tail := bytes.Replace(all[3], []byte(`"quarantined":1`), []byte(quarantined), 1)
			_, _, err := readSnapshot(bytes.NewReader(sealed(head, all[1], all[2], tail)))
			if refused {
				require.EqualError(t, err, says)
			} else {
				require.NoError(t, err)
			}
		}
	}
}

// A snapshot with any content is read as it was written, or not at all. A snapshot of the
// projection that was read has the same content.
func FuzzReadSnapshot(f *testing.F) {
	file := smallSnapshot(f)
	f.Add(file)
	f.Add(file[:len(file)-5-sha256.Size])
	f.Add(file[:len(file)/2])
	f.Add(written(f, newProjection(streamMade)))
	f.Add([]byte{frameHead, 0xff, 0xff, 0xff, 0xff})
	f.Fuzz(func(t *testing.T, file []byte) {
		for _, file := range [][]byte{file, sealed(file)} { // with a hash that is right more is read
			p, _, err := readSnapshot(bytes.NewReader(file))
			if err != nil {
				require.Nil(t, p)
				continue
			}
			p.progress.consumed = p.progress.committed // as if the tail had been read
			again, _, err := readSnapshot(bytes.NewReader(written(t, p)))
			require.NoError(t, err)
			require.Equal(t, p.Stats(), again.Stats())
		}
	})
}
