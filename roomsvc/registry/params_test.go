package registry_test

import (
	"context"
	"encoding/json"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/roombus/roombus/internal/expression"
	"github.com/roombus/roombus/room"
	"github.com/roombus/roombus/roomsvc/registry"
	"github.com/roombus/roombus/subjects"
)

// put stores a document that the registry accepts.
func put(t *testing.T, r *registry.Registry, name, document string) room.Param {
	t.Helper()
	p, err := registry.NewParams(r).Put(t.Context(), room.ParamPut{Name: name, Document: json.RawMessage(document)})
	require.NoError(t, err)
	return p
}

func codeOf(t *testing.T, err error) room.Code {
	t.Helper()
	var e *room.Error
	require.ErrorAs(t, err, &e)
	return e.Code
}

// policy reads documents.
func policy(id string, params ...string) room.Manifest {
	on := room.PreRoomUserJoined
	return room.Manifest{
		ID: id, Version: "1.0.0", Implements: []room.Interface{on}, Params: params,
		Rules: map[room.Interface][]room.Rule{on: {{Deny: "true", Reason: "closed"}}},
	}
}

// A document is the same at every service, except that only Get has the content. It is stored
// without white space.
func TestParams_DocumentIsKnownEverywhere(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	first, second := s.open(t), registry.NewParams(s.open(t))
	alley := policy("alley", "bans")
	alley.Order = new(200) // readers are sorted by id
	for _, m := range []room.Manifest{policy("house", "bans", "hours"), alley, policy("lane", "hours")} {
		_, err := first.Register(t.Context(), m, "")
		require.NoError(t, err)
	}
	bans := put(t, first, "bans", `{ "ids": ["mallory"], "n": 1.50 }`)
	assert.WithinDuration(t, time.Now(), bans.Time, time.Minute)
	assert.Equal(t, room.Param{Name: "bans", Revision: 4, Time: bans.Time, Bytes: 28, Readers: []string{"alley", "house"}}, bans)
	away := put(t, first, "away", `null`)
	assert.Equal(t, []string{}, away.Readers)

	require.Eventually(t, func() bool {
		all, err := second.List(t.Context(), room.ParamRequest{})
		return err == nil && len(all) == 2
	}, time.Minute, time.Millisecond)
	all, err := second.List(t.Context(), room.ParamRequest{})
	require.NoError(t, err)
	assert.Equal(t, []room.Param{away, bans}, all)
	one, err := second.List(t.Context(), room.ParamRequest{Name: "bans"})
	require.NoError(t, err)
	assert.Equal(t, []room.Param{bans}, one)
	found, err := second.Get(t.Context(), room.ParamRequest{Name: "bans"})
	require.NoError(t, err)
	assert.JSONEq(t, `{"ids":["mallory"],"n":1.5}`, string(found.Document))
	assert.Len(t, found.Document, bans.Bytes)
	found.Document = nil
	assert.Equal(t, bans, found)
}

// A removed document is gone, and may be put again.
func TestParams_Remove(t *testing.T) {
	t.Parallel()
	r := newServer(t).open(t)
	params, bans := registry.NewParams(r), room.ParamRequest{Name: "bans"}
	missing := func() {
		t.Helper()
		_, err := params.Get(t.Context(), bans)
		assert.Equal(t, room.CodeParamNotFound, codeOf(t, err))
		_, err = params.List(t.Context(), bans)
		assert.Equal(t, room.CodeParamNotFound, codeOf(t, err))
		_, err = params.Remove(t.Context(), bans)
		assert.Equal(t, room.CodeParamNotFound, codeOf(t, err))
		all, err := params.List(t.Context(), room.ParamRequest{})
		require.NoError(t, err)
		assert.Equal(t, []room.Param{}, all)
	}
	missing()
	was := put(t, r, "bans", `["mallory"]`)
	removed, err := params.Remove(t.Context(), bans)
	require.NoError(t, err)
	assert.Equal(t, was, removed)
	missing()
	assert.EqualValues(t, 3, put(t, r, "bans", `["mallory"]`).Revision)
	_, err = params.Get(t.Context(), room.ParamRequest{})
	assert.Equal(t, room.CodeInvalidRequest, codeOf(t, err))
	_, err = params.Remove(t.Context(), room.ParamRequest{})
	assert.Equal(t, room.CodeInvalidRequest, codeOf(t, err))
}

// A request with a stale revision changes nothing. One that was done already, and is sent again,
// succeeds.
func TestParams_IfRevision(t *testing.T) {
	t.Parallel()
	params := registry.NewParams(newServer(t).open(t))
	try := func(document string, revision uint64) (uint64, *room.Error) {
		p, err := params.Put(t.Context(), room.ParamPut{Name: "bans", Document: json.RawMessage(document), IfRevision: &revision})
		if err == nil {
			return p.Revision, nil
		}
		var e *room.Error
		require.ErrorAs(t, err, &e)
		return 0, e
	}
	for _, step := range []struct {
		document string
		expects  uint64
		revision uint64
		code     room.Code
	}{
		{document: `1`, expects: 7, code: room.CodeParamNotFound},
		{document: `1`, expects: 0, revision: 1},
		{document: `2`, expects: 0, code: room.CodeConflict},
		{document: `2`, expects: 1, revision: 2},
		{document: `3`, expects: 1, code: room.CodeConflict},
		{document: ` 2 `, expects: 1, revision: 2},
	} {
		revision, err := try(step.document, step.expects)
		assert.Equal(t, step.revision, revision, step)
		if step.code == "" {
			assert.Nil(t, err, step)
			continue
		}
		require.NotNil(t, err, step)
		assert.Equal(t, step.code, err.Code, step)
		if step.code == room.CodeConflict {
			assert.NotZero(t, err.Version, "a client must not repeat it")
		}
	}
}

func TestParams_Refused(t *testing.T) {
	t.Parallel()
	params := registry.NewParams(newServer(t).open(t))
	for document, code := range map[string]room.Code{
		`"` + strings.Repeat("x", maxBytes-1) + `"`:   room.CodeTooLarge,
		`"` + strings.Repeat("<", maxBytes/6+1) + `"`: room.CodeTooLarge, // it is escaped in a message
		`{"a":1,"a":2}`: room.CodeInvalidRequest,
	} {
		_, err := params.Put(t.Context(), room.ParamPut{Name: "bans", Document: json.RawMessage(document)})
		assert.Equal(t, code, codeOf(t, err))
		if code == room.CodeTooLarge {
			assert.ErrorContains(t, err, "at most 2000 are allowed")
		}
	}
}

// others records the revisions that the other replicas must have read.
type others struct{ awaited []uint64 }

func (o *others) AnnounceAlive(string)                     {}
func (o *others) Await(_ context.Context, revision uint64) { o.awaited = append(o.awaited, revision) }

// A change is acknowledged when the other replicas know it, also one that is sent again.
func TestParams_ChangeAwaitsReplicas(t *testing.T) {
	t.Parallel()
	replicas := &others{}
	r := newServer(t).openWith(t, func(cfg *registry.Config) { cfg.Replicas = replicas })
	for _, document := range []string{`1`, `1`, `2`} {
		put(t, r, "bans", document)
	}
	_, err := registry.NewParams(r).Remove(t.Context(), room.ParamRequest{Name: "bans"})
	require.NoError(t, err)
	assert.Equal(t, []uint64{1, 1, 2, 3}, replicas.awaited)
}

// changes records the arguments of the last call of Changed.
type changes struct {
	mu         sync.Mutex
	registered []*room.Registration
	params     expression.Params
}

func (c *changes) set(registered []*room.Registration, params expression.Params) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.registered, c.params = registered, params
}

func (c *changes) get() (int, expression.Params) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.registered), c.params
}

// A document is the same while other entries change, and when it is put again. An unusable value
// leaves it.
func TestParams_UnchangedDocumentStays(t *testing.T) {
	t.Parallel()
	s, known := newServer(t), &changes{}
	r := s.openWith(t, func(cfg *registry.Config) { cfg.Changed = known.set })
	put(t, r, "bans", `["mallory"]`)
	_, before := known.get()
	require.NotNil(t, before["bans"])
	same := func() {
		t.Helper()
		_, params := known.get()
		assert.Same(t, before["bans"], params["bans"])
	}
	put(t, r, "hours", `{}`)
	same()
	_, err := r.Register(t.Context(), guard("1.0.0"), "")
	require.NoError(t, err)
	apps, _ := known.get()
	assert.Equal(t, 1, apps, "a document is no app")
	same()
	put(t, r, "bans", ` ["mallory"]`)
	same()
	bucket, err := s.js.KeyValue(t.Context(), subjects.AppsBucket)
	require.NoError(t, err)
	for key, unusable := range map[string]string{subjects.ParamKey("bans"): `{"a":`, subjects.ParamKey("a.b"): `1`} {
		_, err = bucket.Put(t.Context(), key, []byte(unusable))
		require.NoError(t, err)
	}
	require.EqualValues(t, 5, r.CatchUp(t.Context(), 5))
	same()
	_, params := known.get()
	assert.Len(t, params, 2)

	put(t, r, "bans", `[]`)
	_, params = known.get()
	assert.NotSame(t, before["bans"], params["bans"])
}

// The documents have a bound together, because each service has all of them in memory. A document may be
// replaced by one of the same size.
func TestParams_BoundTogether(t *testing.T) {
	t.Parallel()
	params := registry.NewParams(newServer(t).open(t))
	params.SetMost(10)
	put := func(name, document string) error {
		_, err := params.Put(t.Context(), room.ParamPut{Name: name, Document: json.RawMessage(document)})
		return err
	}
	require.NoError(t, put("a", `12345`))
	require.NoError(t, put("b", `12345`))
	err := put("c", `1`)
	require.EqualError(t, err, "too_large: all documents would have 11 bytes; at most 10 are allowed: remove documents that no policy reads")
	require.NoError(t, put("a", `54321`))
	_, err = params.Remove(t.Context(), room.ParamRequest{Name: "a"})
	require.NoError(t, err)
	require.NoError(t, put("c", `1`))
}
