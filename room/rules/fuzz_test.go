package rules_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/roombus/roombus/room"
	"github.com/roombus/roombus/room/rules"
)

// seeds are the golden files of package room.
func seeds(f *testing.F, add func(document []byte)) {
	f.Helper()
	files, err := filepath.Glob("../testdata/*.json")
	require.NoError(f, err)
	require.NotEmpty(f, files)
	for _, file := range files {
		document, err := os.ReadFile(file)
		require.NoError(f, err)
		add(document)
	}
}

// rewritten returns v as JSON.
func rewritten(t require.TestingT, v any) []byte {
	data, err := json.Marshal(v)
	require.NoError(t, err)
	return data
}

// FuzzDecodeRequest: an accepted command keeps the documented bounds, does not change when it is encoded
// and decoded, and makes an event that the room's state accepts.
func FuzzDecodeRequest(f *testing.F) {
	seeds(f, func(document []byte) {
		for n := range room.EventTypes() {
			f.Add(uint8(n), document)
		}
	})
	f.Add(uint8(0), []byte(`{"room":{"slugifiedName":"r","type":"channel","customFields":{"a":`+strings.Repeat("[", 100)+strings.Repeat("]", 100)+`}},"creator":{"id":"u"}}`))
	f.Fuzz(func(t *testing.T, which uint8, document []byte) {
		types := room.EventTypes()
		e := types[int(which)%len(types)]
		r, err := room.DecodeRequest(e, "c1", document)
		if err != nil {
			var coded *room.Error
			require.ErrorAs(t, err, &coded)
			require.Contains(t, []room.Code{room.CodeInvalidRequest, room.CodeTooLarge}, coded.Code)
			require.LessOrEqual(t, len(coded.Message), room.MaxReasonBytes)
			return
		}
		require.True(t, room.IsToken(r.Target()))
		if u := r.Subject(); u != nil {
			require.NoError(t, u.Validate("user"))
		}
		written := rewritten(t, r)
		again, err := room.DecodeRequest(e, "c1", written)
		require.NoError(t, err)
		require.JSONEq(t, string(written), string(rewritten(t, again)))
		requireEvolves(t, r)
	})
}

// requireEvolves applies the request's event to a room in a suitable state.
func requireEvolves(t *testing.T, r room.Request) {
	state := before(t, r)
	d, err := rules.Decide(state.View(r), rules.Command{ID: "c1", Time: at, Bounds: rules.Bounds{MaxBytes: 900 << 10}, Request: r})
	isUpdate := r.Event() == room.EventUpdate || r.Event() == room.EventUserUpdate
	if err != nil {
		var coded *room.Error
		require.ErrorAs(t, err, &coded)
		refusals := []room.Code{room.CodeTooLarge}
		if isUpdate { // the patch may not fit the room, or expect another version
			refusals = append(refusals, room.CodeInvalidRequest, room.CodeConflict)
		}
		require.Contains(t, refusals, coded.Code)
		return
	}
	if d == nil {
		require.True(t, isUpdate, "only a patch may change nothing")
		return
	}
	data := d.Final()
	e := room.Event{ID: "c1", Type: r.Event(), Room: r.Target(), Time: at, Seq: state.Seq + 1, Expected: state.Seq, Version: data.Room.Version}
	require.NoError(t, room.DecodeLenient(rewritten(t, data), &e.Data), "a committed event can be decoded")
	require.LessOrEqual(t, len(e.Data.Members), room.MaxNewMembers+1)
	require.NoError(t, rules.Evolve(state, e))
	if state.Room != nil {
		require.Equal(t, data.Room.MemberCount, state.Room.MemberCount)
		require.NoError(t, state.Room.Validate())
		require.Equal(t, data.Room.Version, state.Room.Version)
	}
}

// before returns a state of the request's room in which the request is possible.
func before(t *testing.T, r room.Request) *rules.State {
	state := &rules.State{}
	if r.Event() == room.EventCreate {
		return state
	}
	members := []room.User{{ID: "u1"}}
	if u := r.Subject(); u != nil && (r.Event() == room.EventUserLeave || r.Event() == room.EventUserUpdate) {
		members = append(members, *u)
	}
	if u := r.Subject(); u != nil && r.Event() == room.EventUserJoin && u.ID == "u1" {
		members = nil
	}
	created := bare
	created.ID = r.Target()
	require.NoError(t, rules.Evolve(state, room.Event{
		ID: "c0", Type: room.EventCreate, Room: r.Target(), Seq: 1, Version: 1, Data: room.Data{Room: created, Members: members},
	}))
	return state
}

// FuzzParseVerdict: a parsed verdict keeps its bounds, does not change when it is encoded and decoded,
// and turns every valid draft into a valid draft.
func FuzzParseVerdict(f *testing.F) {
	seeds(f, func(document []byte) {
		for n := range room.Interfaces() {
			f.Add(uint8(n), document)
		}
	})
	f.Add(uint8(0), []byte(`{"verdict":"deny","reason":"`+strings.Repeat("é", 400)+`","warnings":["","1","2","3","4","5","6","7","8","9"]}`))
	f.Fuzz(func(t *testing.T, which uint8, document []byte) {
		i := room.Interfaces()[int(which)%len(room.Interfaces())]
		v, err := room.ParseVerdict(i, document)
		if err != nil {
			require.ErrorIs(t, err, &room.Error{Code: room.CodeInvalidRequest})
			return
		}
		require.True(t, v.Verdict != room.Deny || i.MayDeny())
		require.LessOrEqual(t, len(v.Warnings), room.MaxWarnings)
		for _, said := range append(v.Warnings, v.Reason) {
			require.LessOrEqual(t, len(said), room.MaxReasonBytes)
		}
		written := rewritten(t, v)
		again, err := room.ParseVerdict(i, written)
		require.NoError(t, err)
		require.JSONEq(t, string(written), string(rewritten(t, again)))

		answers := []rules.Answer{{App: "a", Outcome: room.Allowed, Verdict: v, Modified: v.Modify}}
		d, _, err := rules.Combine(draft(t), i, answers)
		require.NoError(t, err, "only a denial is one")
		requireMayBe(t, d)
	})
}

// FuzzModified: for any patch of an app, the draft stays valid.
func FuzzModified(f *testing.F) {
	seeds(f, func(document []byte) { f.Add(document) })
	f.Add(rewritten(f, draft(f).Data.Room))
	f.Fuzz(func(t *testing.T, record []byte) {
		d, _, err := rules.Combine(draft(t), room.PreRoomCreateModify, []rules.Answer{{App: "a", Outcome: room.Allowed, Modified: record}})
		require.NoError(t, err)
		requireMayBe(t, d)
	})
}

// draft returns a draft of a creation.
func draft(t require.TestingT) rules.Draft {
	r := room.CreateRequest{Room: room.NewRoom{ID: "r1", SlugifiedName: "r1", Type: room.Channel, CustomFields: map[string]any{"k": "v"}}, Creator: bob, Members: []room.User{alice}}
	d, err := rules.Decide(rules.View{}, rules.Command{ID: "c1", Time: at, Bounds: rules.Bounds{MaxBytes: 900 << 10}, Request: r})
	require.NoError(t, err)
	return *d
}

func requireMayBe(t *testing.T, d rules.Draft) {
	require.NoError(t, d.Data.Room.Validate())
	require.Equal(t, "r1", d.Data.Room.ID)
	require.Len(t, d.Data.Members, d.Data.Room.MemberCount)
	require.LessOrEqual(t, len(d.Data.Members), room.MaxNewMembers+1)
	assert.Len(t, d.Data.Apps, 1, "every outcome is recorded")
	var read room.Data
	require.NoError(t, room.DecodeLenient(rewritten(t, d.Data), &read))
}
