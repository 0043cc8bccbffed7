package subjects_test

import (
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/roombus/roombus/room"
	"github.com/roombus/roombus/subjects"
)

func TestSubjects_TenInterfaces(t *testing.T) {
	t.Parallel()
	for i, subject := range map[room.Interface]string{
		room.PreRoomCreatePrevent: "room.pre.createprevent.app",
		room.PreRoomCreateExtend:  "room.pre.createextend.app",
		room.PreRoomCreateModify:  "room.pre.createmodify.app",
		room.PreRoomDeletePrevent: "room.pre.deleteprevent.app",
		room.PreRoomUserJoined:    "room.pre.userjoin.app",
		room.PreRoomUserLeave:     "room.pre.userleave.app",
	} {
		assert.Equal(t, subject, subjects.Pre(i, "app"))
	}
	for i, subject := range map[room.Interface]string{
		room.PostRoomCreate:     "room.post.create.r",
		room.PostRoomDeleted:    "room.post.delete.r",
		room.PostRoomUserJoined: "room.post.userjoin.r",
		room.PostRoomUserLeave:  "room.post.userleave.r",
	} {
		assert.Equal(t, subject, subjects.Post(i.Event(), "r"))
	}
}

func TestParsePost(t *testing.T) {
	t.Parallel()
	e, id, ok := subjects.ParsePost("room.post.userjoin.r-1_X")
	assert.True(t, ok)
	assert.Equal(t, room.EventUserJoin, e)
	assert.Equal(t, "r-1_X", id)
	for _, subject := range []string{"", "room.post", "room.post.create", "room.pre.create.r", "a.post.create.r", "room.post.create.r.s", "room.post.create.*"} {
		_, _, ok := subjects.ParsePost(subject)
		assert.False(t, ok, subject)
	}
}

// The headers of each app have its time left, and apps with the same time share their headers.
func TestPreHeaders_TimeLeft(t *testing.T) {
	t.Parallel()
	headers := subjects.PreHeaders(room.PreRoomUserJoined, "c1", "r", "00-trace", []string{"c0", "c-1"}, time.UnixMicro(0).UTC())
	first := headers(5 * time.Millisecond)
	assert.Equal(t, subjects.Headers{
		"ce-specversion": {"1.0"}, "ce-id": {"c1"}, "ce-type": {"room.pre.userjoin"}, "ce-source": {"roombus"}, "ce-subject": {"r"},
		"ce-time": {"1970-01-01T00:00:00Z"}, "ce-datacontenttype": {"application/json"}, "traceparent": {"00-trace"},
		"Room-Timeout-Ms": {"5"}, "Room-Caused-By": {"c0,c-1"},
	}, first)
	for left, says := range map[time.Duration]string{2500 * time.Microsecond: "2", time.Microsecond: "1", 0: "1", -time.Second: "1"} {
		assert.Equal(t, []string{says}, headers(left)["Room-Timeout-Ms"], left)
	}
	assert.Equal(t, []string{"5"}, first["Room-Timeout-Ms"], "the first headers do not change")
	headers(5 * time.Millisecond)["shared"] = nil
	assert.Contains(t, headers(5*time.Millisecond+time.Microsecond), "shared")
}

// Encoding and decoding an event gives the same event.
func TestPost_EncodeDecode(t *testing.T) {
	t.Parallel()
	token := rapid.StringMatching(`[A-Za-z0-9_-]{1,64}`)
	rapid.Check(t, func(t *rapid.T) {
		e := room.Event{
			ID: token.Draw(t, "id"), Type: rapid.SampledFrom(room.EventTypes()).Draw(t, "type"), Room: token.Draw(t, "room"),
			Time: time.UnixMicro(rapid.Int64Range(0, 1<<52).Draw(t, "time")).UTC(), Seq: 9,
			Expected: rapid.Uint64().Draw(t, "expected"),
			Previous: room.Latest{
				Create: rapid.Uint64Range(0, 3).Draw(t, "create"), Delete: rapid.Uint64().Draw(t, "delete"),
				UserJoin: rapid.Uint64().Draw(t, "userjoin"), UserLeave: rapid.Uint64Range(0, 3).Draw(t, "userleave"),
			},
			Version: rapid.Uint64().Draw(t, "version"), Replica: token.Draw(t, "replica"), CausedBy: rapid.SliceOfN(token, 1, 20).Draw(t, "causes"),
			Data: room.Data{JoiningUser: &room.User{ID: rapid.String().Draw(t, "user")}},
		}
		subject, h, data, err := subjects.EncodePost(e, "trace")
		require.NoError(t, err)
		_, err = subjects.DecodePost(subject, h, data, 9)
		require.Error(t, err, "the guard's headers are missing")
		h[subjects.ExpectedSeq] = []string{strconv.FormatUint(e.Expected, 10)}
		h[subjects.ExpectedSeqSubject] = []string{subjects.PostsOf(e.Room)}
		read, err := subjects.DecodePost(subject, h, data, 9)
		require.NoError(t, err)
		require.Equal(t, e, read)
		for _, needed := range []string{subjects.ID, subjects.Time, subjects.RoomVersion, subjects.Type, subjects.Subject, subjects.CommittedBy} {
			was := h[needed]
			delete(h, needed)
			_, err = subjects.DecodePost(subject, h, data, 9)
			require.Error(t, err, needed)
			h[needed] = was
		}
	})
}

func TestPost_HeaderHasLatestOfEveryType(t *testing.T) {
	t.Parallel()
	subject, h, data, err := subjects.EncodePost(room.Event{
		ID: "c", Type: room.EventUserJoin, Room: "r", Replica: "s1", Previous: room.Latest{Create: 3, UserJoin: 12},
	}, "trace")
	require.NoError(t, err)
	assert.Equal(t, []string{"create=3,userjoin=12"}, h["ce-roomprevious"])
	assert.NotContains(t, h, "ce-roompreviousupdates")
	h[subjects.ExpectedSeq] = []string{"12"}
	h[subjects.ExpectedSeqSubject] = []string{subjects.PostsOf("r")}
	for _, bad := range []string{"create", "create=", "create=x", "create=1,", "create=-1", "=1"} {
		h[subjects.RoomPrevious] = []string{bad}
		_, err = subjects.DecodePost(subject, h, data, 13)
		require.ErrorContains(t, err, "ce-roomprevious", bad)
	}
}

// Workers of earlier versions know four types of events, and refuse others in ce-roomprevious.
func TestPost_UpdatesHaveHeaderOfTheirOwn(t *testing.T) {
	t.Parallel()
	previous := room.Latest{Create: 3, UserJoin: 12, Update: 13, UserUpdate: 14}
	subject, h, data, err := subjects.EncodePost(room.Event{ID: "c", Type: room.EventUserJoin, Room: "r", Replica: "s1", Previous: previous}, "trace")
	require.NoError(t, err)
	assert.Equal(t, []string{"create=3,userjoin=12"}, h["ce-roomprevious"])
	assert.Equal(t, []string{"update=13,userupdate=14"}, h["ce-roompreviousupdates"])
	h[subjects.ExpectedSeq] = []string{"14"}
	h[subjects.ExpectedSeqSubject] = []string{subjects.PostsOf("r")}
	h[subjects.RoomPrevious] = []string{"create=3,rename=7,userjoin=12"} // of a later version
	e, err := subjects.DecodePost(subject, h, data, 15)
	require.NoError(t, err)
	assert.Equal(t, previous, e.Previous)
}

func TestRejection_EncodeDecode(t *testing.T) {
	t.Parallel()
	r := room.Rejection{
		ID: "c1", Time: time.UnixMicro(1).UTC(), Command: "join", Room: "r", User: "u", Kind: room.RejectionDenied,
		Error: room.Error{Code: room.CodeUserNotAllowed, Message: "m"}, Request: []byte(`{"roomId":"r"}`),
	}
	subject, h, data, err := subjects.EncodeRejection(r, "trace")
	require.NoError(t, err)
	assert.Equal(t, "room.rejected.join.r", subject)
	read, err := subjects.DecodeRejection(subject, h, data)
	require.NoError(t, err)
	assert.Equal(t, r, read)

	for _, other := range []string{"room.rejected.leave.r", "room.rejected.join.s", "room.post.userjoin.r"} {
		_, err = subjects.DecodeRejection(other, h, data)
		require.ErrorContains(t, err, "not the subject", other)
	}
	_, err = subjects.DecodeRejection(subject, h, []byte("x"))
	require.Error(t, err)
	h[subjects.ID] = []string{"c2"}
	_, err = subjects.DecodeRejection(subject, h, data)
	require.ErrorContains(t, err, "ce-id")
	r.ID = "\x1b"
	subject, h, data, err = subjects.EncodeRejection(r, "trace")
	require.NoError(t, err)
	_, err = subjects.DecodeRejection(subject, h, data)
	require.Error(t, err)
}

func TestRegistryRecord_ReadsWhatItWrites(t *testing.T) {
	t.Parallel()
	theirs := map[string]string{"theirs": "kept"}
	for _, r := range []subjects.RegistryRecord{{Revision: 7, Apps: []string{"guard", "ledger"}}, {Revision: 7, Params: []string{"bans"}}, {Revision: 7}} {
		metadata := r.In(theirs)
		assert.Equal(t, "kept", metadata["theirs"])
		read, ok := subjects.RegistryRecordOf(metadata)
		assert.True(t, ok)
		assert.True(t, read.Equal(r), "%v is read as %v", r, read)
	}
	assert.False(t, subjects.RegistryRecord{Apps: []string{"a"}}.Equal(subjects.RegistryRecord{Params: []string{"a"}}))
	assert.False(t, subjects.RegistryRecord{}.Equal(subjects.RegistryRecord{Params: []string{"a"}}))
	assert.Len(t, theirs, 1, "the metadata stay as they were")
	_, ok := subjects.RegistryRecordOf(theirs)
	assert.False(t, ok)
	assert.NotEmpty(t, subjects.RegistryRecord{Revision: 1}.In(nil))
}
