package room_test

import (
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/roombus/roombus/room"
)

func TestDecodeRequest_Refuses(t *testing.T) {
	t.Parallel()
	join := func(rest string) string { return `{"roomId":"r1","user":{"id":"u1"}` + rest + `}` }
	for name, c := range map[string]struct {
		event room.EventType
		body  string
		says  string
	}{
		"nothing":             {room.EventUserJoin, ``, "empty"},
		"not JSON":            {room.EventUserJoin, `hello`, "not JSON"},
		"cut off":             {room.EventUserJoin, `{"roomId":`, "ends too early"},
		"two objects":         {room.EventUserJoin, join("") + `{}`, "after the end"},
		"not an object":       {room.EventUserJoin, `[1]`, "must be a JSON object"},
		"not UTF-8":           {room.EventUserJoin, "{\"roomId\":\"r1\",\"user\":{\"id\":\"\xff\"}}", "UTF-8"},
		"unknown field":       {room.EventUserJoin, join(`,"force":true`), `unknown field "force"`},
		"unknown inner field": {room.EventUserJoin, join(`,"inviter":{"id":"x","age":3}`), `unknown field "age"`},
		"other case":          {room.EventUserJoin, `{"roomid":"r1","user":{"id":"u1"}}`, `unknown field "roomid"`},
		"other case inside":   {room.EventUserJoin, `{"roomId":"r1","user":{"ID":"u1"}}`, `unknown field "ID"`},
		"in a list":           {room.EventCreate, `{"room":{"slugifiedName":"a","type":"channel"},"creator":{"id":"u"},"members":[{"id":"m"},{"Id":"n"}]}`, `unknown field "Id"`},
		"twice":               {room.EventUserJoin, `{"roomId":"r1","user":{"id":"u1"},"roomId":"r2"}`, `"roomId" stands there twice`},
		"twice in a map":      {room.EventUserJoin, `{"roomId":"r1","user":{"id":"u1","attributes":{"a":{"B":1,"b":2,"B":3}}}}`, `"B" stands there twice`},
		"nested too deep":     {room.EventUserJoin, `{"roomId":"r1","user":{"id":"u1","attributes":{"a":` + strings.Repeat("[", 62) + strings.Repeat("]", 62) + `}}}`, "nested deeper than 64"},
		"wrong kind":          {room.EventUserJoin, `{"roomId":7,"user":{"id":"u"}}`, "roomId must be string, not number"},
		"wrong kind inside":   {room.EventUserJoin, `{"roomId":"r1","user":{"id":"u","roles":["a",7]}}`, "user.roles.1 must be string, not number"},
		"null in a list":      {room.EventUserJoin, `{"roomId":"r1","user":{"id":"u","roles":["a",null]}}`, "user.roles.1: must be string, not null"},
		"no room":             {room.EventUserJoin, `{"user":{"id":"u"}}`, "roomId is required"},
		"room with a dot":     {room.EventUserJoin, `{"roomId":"a.b","user":{"id":"u"}}`, "roomId must be"},
		"room wildcard":       {room.EventUserJoin, `{"roomId":"*","user":{"id":"u"}}`, "roomId must be"},
		"room too long":       {room.EventUserJoin, `{"roomId":"` + strings.Repeat("a", 65) + `","user":{"id":"u"}}`, "roomId must be"},
		"no user":             {room.EventUserJoin, `{"roomId":"r1"}`, "user.id is required"},
		"user too long":       {room.EventUserJoin, `{"roomId":"r1","user":{"id":"` + strings.Repeat("ü", 65) + `"}}`, "130 bytes"},
		"user control":        {room.EventUserJoin, `{"roomId":"r1","user":{"id":"a\u0000b"}}`, "control character"},
		"inviter empty":       {room.EventUserJoin, join(`,"inviter":{}`), "inviter.id is required"},
		"leave no user":       {room.EventUserLeave, `{"roomId":"r1"}`, "user.id is required"},
		"remover empty":       {room.EventUserLeave, join(`,"removedBy":{"id":""}`), "removedBy.id is required"},
		"delete no room":      {room.EventDelete, `{}`, "roomId is required"},
		"deleter empty":       {room.EventDelete, `{"roomId":"r1","deletedBy":{}}`, "deletedBy.id is required"},
		"create bad type":     {room.EventCreate, `{"room":{"slugifiedName":"a","type":"forum"},"creator":{"id":"u"}}`, "room.type must be one of"},
		"create no type":      {room.EventCreate, `{"room":{"slugifiedName":"a"},"creator":{"id":"u"}}`, "room.type must be one of"},
		"create no name":      {room.EventCreate, `{"room":{"type":"channel"},"creator":{"id":"u"}}`, "slugifiedName is required"},
		"create no creator":   {room.EventCreate, `{"room":{"slugifiedName":"a","type":"channel"}}`, "creator.id is required"},
		"create bad parent":   {room.EventCreate, `{"room":{"slugifiedName":"a","type":"channel","parentRoomId":"x y"},"creator":{"id":"u"}}`, "parentRoomId must be"},
		"create bad member":   {room.EventCreate, `{"room":{"slugifiedName":"a","type":"channel"},"creator":{"id":"u"},"members":[{"id":""}]}`, "members.id is required"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := room.DecodeRequest(c.event, "c1", []byte(c.body))
			require.ErrorIs(t, err, &room.Error{Code: room.CodeInvalidRequest})
			assert.Contains(t, err.Error(), c.says)
		})
	}
}

func TestDecode_NamesInvalidField(t *testing.T) {
	t.Parallel()
	for says, body := range map[string]string{
		"order must be int, not number 1.5":                        `{"order":1.5}`,
		"order must be int, not number 9223372036854775808":        `{"order":9223372036854775808}`,
		"enabled must be bool, not string":                         `{"enabled":"yes"}`,
		"implements must be array, not string":                     `{"implements":"PreRoomUserJoined"}`,
		"implements.0 must be string, not number":                  `{"implements":[1]}`,
		"when must be object, not string":                          `{"when":"true"}`,
		`deliverSince must be a time such as 2026-01-02T15:04:05Z`: `{"deliverSince":"yesterday"}`,
		`unknown field "essential": is it "essentials"?`:           `{"essential":[]}`,
		`unknown field "TimeoutMS": is it "timeoutMs"?`:            `{"TimeoutMS":5}`,
	} {
		err := room.Decode([]byte(body), &room.Manifest{})
		require.ErrorIs(t, err, &room.Error{Code: room.CodeInvalidRequest}, body)
		assert.ErrorContains(t, err, says)
	}
	for says, body := range map[string]string{
		"user must be object, not string":           `{"roomId":"r","user":"bob"}`,
		`unknown field "roomID": is it "roomId"?`:   `{"roomID":"r"}`,
		`unknown field "role": is it "roles"?`:      `{"roomId":"r","user":{"id":"bob","role":"admin"}}`,
		`user.attributes must be object, not array`: `{"roomId":"r","user":{"id":"bob","attributes":[]}}`,
	} {
		assert.ErrorContains(t, room.Decode([]byte(body), &room.JoinRequest{}), says)
	}
	err := room.Decode([]byte(`{"ifVersion":-1}`), &room.UpdateRequest{})
	require.ErrorContains(t, err, "ifVersion must be int of 0 or more, not number -1")
	err = room.Decode([]byte(`{"roomId":"r","i":1}`), &room.JoinRequest{})
	assert.Equal(t, `invalid_request: unknown field "i"`, err.Error(), "nothing is near")
}

// All versions must read an event in the same way.
func TestDecodeLenient(t *testing.T) {
	t.Parallel()
	for name, body := range map[string]string{
		"as it is written": `{"roomId":"r1","user":{"id":"u1"}}`,
		"unknown field":    `{"roomId":"r1","since":1,"user":{"id":"u1","age":{"id":3}}}`,
		"other case":       `{"ROOMID":"r1","user":{"Id":"u1"}}`,
		"twice":            `{"roomId":"r0","roomId":"r1","user":{"id":"u0"},"user":{"id":"u1"}}`,
		"null":             `{"roomId":"r1","user":{"id":"u1","roles":null,"attributes":null},"roomId":null}`,
		"nested deep":      `{"roomId":"r1","user":{"id":"u1"},"deep":` + strings.Repeat("[", 100) + strings.Repeat("]", 100) + `}`,
	} {
		var r room.JoinRequest
		require.NoError(t, room.DecodeLenient([]byte(body), &r), name)
		assert.Equal(t, room.JoinRequest{RoomID: "r1", User: room.User{ID: "u1"}}, r, name)
	}
}

func TestDecodeLenient_Refuses(t *testing.T) {
	t.Parallel()
	for says, body := range map[string]string{
		"empty":                           " ",
		"not valid UTF-8":                 "{\"roomId\":\"\xff\"}",
		"after the end":                   `{"roomId":"r1"}]`,
		"roomId must be string":           `{"roomId":["r1"]}`,
		"the body must be a JSON object":  `"r1"`,
		"not JSON: it ends too early":     `{"roomId":"r1"`,
		"not JSON: invalid character 'r'": `{roomId:"r1"}`,
	} {
		require.ErrorContains(t, room.DecodeLenient([]byte(body), &room.JoinRequest{}), says)
	}
}

// Half a surrogate pair is the rest of a character that was cut in two. It must not drop a denial.
func TestParseVerdict_HalfSurrogateIsReplaced(t *testing.T) {
	t.Parallel()
	for _, reply := range []string{`{"verdict":"deny","reason":"no \ud83d"}`, "{\"verdict\":\"deny\",\"reason\":\"no \xf0\x9f\"}"} {
		v, err := room.ParseVerdict(room.PreRoomUserJoined, []byte(reply))
		require.NoError(t, err)
		assert.Equal(t, room.Deny, v.Verdict)
		assert.Equal(t, "no ", strings.TrimRight(v.Reason, "\uFFFD"))
		assert.NotEqual(t, "no ", v.Reason)
	}
	v, err := room.ParseVerdict(room.PreRoomUserJoined, []byte(`{"verdict":"allow","warnings":["\udc00!"]}`))
	require.NoError(t, err)
	assert.Equal(t, []string{"\uFFFD!"}, v.Warnings)
}

func TestDecodeRequest_InvalidTextIsRefused(t *testing.T) {
	t.Parallel()
	create := func(fields string) string {
		return `{"room":{"slugifiedName":"a","type":"channel","customFields":` + fields + `},"creator":{"id":"u"}}`
	}
	for body, says := range map[string]string{
		`{"room":{"slugifiedName":"\ud83d","type":"channel"},"creator":{"id":"u"}}`:                    `room.slugifiedName: \ud83d is half of a surrogate pair`,
		`{"room":{"slugifiedName":"a","type":"channel"},"creator":{"id":"u\udc00"}}`:                   `creator.id: \udc00 is half`,
		`{"room":{"slugifiedName":"a","type":"channel"},"creator":{"id":"u","roles":["a","b\uD800"]}}`: `creator.roles.1: \uD800 is half`,
		`{"room\ud800":1}`: `the body: \ud800 is half`,
		create(`{"a":{"b":["x",{"c":"\ud83d\u0041"}]}}`): `room.customFields.a.b.1.c: \ud83d is half`,
		create(`{"a":{"k\ud83d":1}}`):                    `room.customFields.a: \ud83d is half`,
		create(`{"k\ude00":1}`):                          `room.customFields: \ude00 is half`,
		create(`{"a":"\ude00\ud83d"}`):                   `room.customFields.a: \ude00 is half`,
	} {
		_, err := room.DecodeRequest(room.EventCreate, "c1", []byte(body))
		require.ErrorIs(t, err, &room.Error{Code: room.CodeInvalidRequest}, body)
		assert.ErrorContains(t, err, says)
	}
	_, err := room.DecodeRequest(room.EventCreate, "c1", []byte(create(`{"\ud83d\ude00":"\ud83d\ude00","r":"\ufffd","zero":"\u0000"}`)))
	require.NoError(t, err, "whole signs are text")

	for reply, i := range map[string]room.Interface{
		`{"verdict":"allow","extend":{"customFields":{"a":["\ud800"]}}}`:                      room.PreRoomCreateExtend,
		`{"verdict":"allow","extend":{"customFields":{"\ud800":1}}}`:                          room.PreRoomCreateExtend,
		`{"verdict":"allow","extend":{"members":[{"id":"m","attributes":{"\ud800":1}}]}}`:     room.PreRoomCreateExtend,
		"{\"verdict\":\"allow\",\"extend\":{\"members\":[{\"id\":\"m\",\"name\":\"\xff\"}]}}": room.PreRoomCreateExtend,
		`{"verdict":"allow","modify":{"customFields":{"a":{"\udfff":1}}}}`:                    room.PreRoomCreateModify,
		`{"verdict":"allow","modify":{"description":"\ud800"}}`:                               room.PreRoomCreateModify,
		`{"verdict":"allow","modify":{},"warnings":["\ud800"]}`:                               room.PreRoomCreateModify,
		`{"verdict":"allow","replace":{"description":"\ud800"}}`:                              room.PreRoomCreateModify,
	} {
		_, err := room.ParseVerdict(i, []byte(reply))
		require.ErrorIs(t, err, &room.Error{Code: room.CodeInvalidRequest}, reply)
	}
}

// Encode must not change invalid UTF-8 silently.
func TestEncode_Refuses(t *testing.T) {
	t.Parallel()
	for says, v := range map[string]any{
		"user.id: invalid UTF-8":                 room.JoinRequest{RoomID: "r", User: room.User{ID: "\xff"}},
		"user.roles.1: invalid UTF-8":            room.JoinRequest{RoomID: "r", User: room.User{ID: "u", Roles: []string{"a", "b\xff"}}},
		"user.attributes: invalid UTF-8":         room.JoinRequest{RoomID: "r", User: room.User{ID: "u", Attributes: map[string]any{"k\xc3": 1}}},
		"room.customFields.a.0.b: invalid UTF-8": room.CreateRequest{Room: room.NewRoom{CustomFields: map[string]any{"a": []any{map[string]string{"b": "\xed\xa0\x80"}}}}},
		"extend.customFields.a: invalid UTF-8":   room.Verdict{Extend: &room.Extension{CustomFields: map[string]any{"a": "\xff"}}},
		"surrogate":                              room.Verdict{Extend: &room.Extension{CustomFields: map[string]any{"a": json.RawMessage(`"\ud800"`)}}},
		`n: invalid character 'x'`:               map[string]any{"n": json.Number("5x")},
		`"\"five\"" is no number`:                map[string]any{"n": json.Number(`"five"`)},
		"unsupported value: NaN":                 map[string]any{"n": math.NaN()},
	} {
		_, err := room.Encode(v)
		require.ErrorIs(t, err, &room.Error{Code: room.CodeInvalidRequest}, says)
		assert.ErrorContains(t, err, says)
	}
}

// A cut text, including its mark, never exceeds the bound and is always valid UTF-8.
func TestWithinBounds_CutsText(t *testing.T) {
	t.Parallel()
	for given, want := range map[string]string{
		strings.Repeat("x", room.MaxReasonBytes):                strings.Repeat("x", room.MaxReasonBytes),
		strings.Repeat("x", room.MaxReasonBytes+1):              strings.Repeat("x", room.MaxReasonBytes-3) + "…",
		strings.Repeat("é", room.MaxReasonBytes):                strings.Repeat("é", (room.MaxReasonBytes-4)/2) + "…",
		strings.Repeat("😀", room.MaxReasonBytes):                strings.Repeat("😀", (room.MaxReasonBytes-4)/4) + "…",
		"a\xffb\xed\xa0\x80":                                    "a\uFFFDb\uFFFD",
		strings.Repeat("a\xff", room.MaxReasonBytes/2):          strings.Repeat("a\uFFFD", (room.MaxReasonBytes-4)/4) + "a…",
		strings.Repeat("x", room.MaxReasonBytes-1) + "\xf0\x9f": strings.Repeat("x", room.MaxReasonBytes-3) + "…",
	} {
		warnings := slices.Repeat([]string{given}, room.MaxWarnings+1)
		v := room.Verdict{Verdict: room.Deny, Reason: given, Warnings: warnings}.WithinBounds()
		assert.Equal(t, want, v.Reason)
		assert.Equal(t, slices.Repeat([]string{want}, room.MaxWarnings), v.Warnings)
		assert.Equal(t, given, warnings[0], "the verdict before is left alone")
	}
}

// Only nested brackets count, not brackets in strings or beside each other.
func TestDecode_CountsNestedBracketsOnly(t *testing.T) {
	t.Parallel()
	for _, value := range []string{
		`"` + strings.Repeat("[{", 100) + `"`,
		`"\"` + strings.Repeat("[{", 100) + `\\"`,
		`[` + strings.Repeat("[],{},", 100) + `0]`,
	} {
		_, err := room.DecodeRequest(room.EventUserJoin, "c1", []byte(`{"roomId":"r1","user":{"id":"u1","attributes":{"a":`+value+`}}}`))
		require.NoError(t, err)
	}
}

// A record of maximum nesting in a request can be decoded in a page, where it is nested deeper.
func TestDecode_MaxNestingFitsPage(t *testing.T) {
	t.Parallel()
	r, err := room.DecodeRequest(room.EventUserJoin, "c1", []byte(`{"roomId":"r1","user":{"id":"u1","attributes":{"a":`+strings.Repeat("[", 61)+strings.Repeat("]", 61)+`}}}`))
	require.NoError(t, err)
	page, err := json.Marshal(room.MemberPage{Members: []room.User{*r.Subject()}})
	require.NoError(t, err)
	require.NoError(t, room.DecodeLenient(page, &room.MemberPage{}))
}

func TestDecodeRequest_Bounds(t *testing.T) {
	t.Parallel()
	members := func(n int) string {
		list := []string{`{"id":"u"}`, `{"id":"m0"}`} // the creator, and a duplicate
		for k := range n {
			list = append(list, fmt.Sprintf(`{"id":"m%d"}`, k))
		}
		return `{"room":{"slugifiedName":"a","type":"channel"},"creator":{"id":"u"},"members":[` + strings.Join(list, ",") + `]}`
	}
	_, err := room.DecodeRequest(room.EventCreate, "c1", []byte(members(room.MaxNewMembers)))
	require.NoError(t, err)
	_, err = room.DecodeRequest(room.EventCreate, "c1", []byte(members(room.MaxNewMembers+1)))
	require.ErrorIs(t, err, &room.Error{Code: room.CodeTooLarge})

	described := func(n int) string {
		return `{"room":{"slugifiedName":"a","type":"channel","description":"` + strings.Repeat("x", n) + `"},"creator":{"id":"u"}}`
	}
	_, err = room.DecodeRequest(room.EventCreate, "c1", []byte(described(room.MaxRoomBytes-300)))
	require.NoError(t, err)
	_, err = room.DecodeRequest(room.EventCreate, "c1", []byte(described(room.MaxRoomBytes)))
	require.ErrorIs(t, err, &room.Error{Code: room.CodeTooLarge})
}

// Numbers keep their notation, also numbers beyond float64.
func TestDecode_NumbersKeepNotation(t *testing.T) {
	t.Parallel()
	for _, n := range []string{"9007199254740993", "1e999", "-0.0", "1.50"} {
		r, err := room.DecodeRequest(room.EventUserJoin, "c1", []byte(`{"roomId":"r","user":{"id":"u","attributes":{"n":`+n+`}}}`))
		require.NoError(t, err)
		assert.Equal(t, json.Number(n), r.Subject().Attributes["n"])
	}
}

func TestDecodeRequest_RoomIDDefaultsToCommandID(t *testing.T) {
	t.Parallel()
	r, err := room.DecodeRequest(room.EventCreate, "c1", []byte(`{"room":{"slugifiedName":"a","type":"channel"},"creator":{"id":"u"}}`))
	require.NoError(t, err)
	assert.Equal(t, "c1", r.Target())
}

func TestDecodeRequest_UserIDsAreArbitraryText(t *testing.T) {
	t.Parallel()
	for _, id := range []string{"a.b", "*", ">", "a b", "ünïcödé", "日本", strings.Repeat("x", 128)} {
		assert.NoError(t, room.User{ID: id}.Validate("user"), id)
	}
}

func TestParseVerdict(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		i    room.Interface
		body string
		says string // of the error; empty: no error
	}{
		"allow":                  {room.PreRoomUserJoined, `{"verdict":"allow","warnings":["w"]}`, ""},
		"deny":                   {room.PreRoomUserLeave, `{"verdict":"deny","reason":"no"}`, ""},
		"skip":                   {room.PreRoomCreateModify, `{"verdict":"skip"}`, ""},
		"extend":                 {room.PreRoomCreateExtend, `{"verdict":"allow","extend":{"customFields":{"a":1},"members":[{"id":"u"}]}}`, ""},
		"modify":                 {room.PreRoomCreateModify, `{"verdict":"allow","modify":{"displayName":"x"}}`, ""},
		"replace":                {room.PreRoomCreateModify, `{"verdict":"allow","replace":{"id":"r"}}`, ""},
		"null for replace":       {room.PreRoomCreateModify, `{"verdict":"allow","modify":{},"replace":null}`, ""},
		"replace and modify":     {room.PreRoomCreateModify, `{"verdict":"allow","modify":{},"replace":{}}`, "exclude each other"},
		"replace at extend":      {room.PreRoomCreateExtend, `{"verdict":"allow","replace":{}}`, "replace belongs"},
		"replace with a skip":    {room.PreRoomCreateModify, `{"verdict":"skip","replace":{}}`, "replace belongs"},
		"replace is no object":   {room.PreRoomCreateModify, `{"verdict":"allow","replace":"r"}`, "replace must be a JSON object"},
		"a denial with null":     {room.PreRoomUserJoined, `{"verdict":"deny","warnings":[null]}`, ""},
		"null content":           {room.PreRoomUserJoined, `{"verdict":"allow","modify":null,"extend":null}`, ""},
		"empty":                  {room.PreRoomUserJoined, ``, "empty"},
		"other case":             {room.PreRoomUserJoined, `{"Verdict":"allow"}`, "unknown field"},
		"garbage":                {room.PreRoomUserJoined, `yes`, "not JSON"},
		"no word":                {room.PreRoomUserJoined, `{}`, "verdict is required"},
		"another word":           {room.PreRoomUserJoined, `{"verdict":"maybe"}`, "allow, deny or skip"},
		"unknown field":          {room.PreRoomUserJoined, `{"verdict":"allow","why":"x"}`, "unknown field"},
		"extend cannot deny":     {room.PreRoomCreateExtend, `{"verdict":"deny"}`, "cannot deny"},
		"modify cannot deny":     {room.PreRoomCreateModify, `{"verdict":"deny"}`, "cannot deny"},
		"extend at join":         {room.PreRoomUserJoined, `{"verdict":"allow","extend":{}}`, "extend belongs"},
		"modify at extend":       {room.PreRoomCreateExtend, `{"verdict":"allow","modify":{}}`, "modify belongs"},
		"extend with a skip":     {room.PreRoomCreateExtend, `{"verdict":"skip","extend":{}}`, "extend belongs"},
		"modify is no object":    {room.PreRoomCreateModify, `{"verdict":"allow","modify":[1]}`, "must be a JSON object"},
		"extend with bad member": {room.PreRoomCreateExtend, `{"verdict":"allow","extend":{"members":[{"id":""}]}}`, "members.id is required"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := room.ParseVerdict(c.i, []byte(c.body))
			if c.says == "" {
				require.NoError(t, err)
				return
			}
			require.ErrorContains(t, err, c.says)
		})
	}
}

func TestManifest_Refuses(t *testing.T) {
	t.Parallel()
	good := room.Manifest{ID: "a", Version: "1.0.0", Implements: []room.Interface{room.PreRoomUserJoined, room.PostRoomCreate}}
	require.NoError(t, good.Validate())
	for says, spoil := range map[string]func(*room.Manifest){
		"id is required":                    func(m *room.Manifest) { m.ID = "" },
		"id must be":                        func(m *room.Manifest) { m.ID = "a.b" },
		"service's own name":                func(m *room.Manifest) { m.ID = "rooms" },
		"description has":                   func(m *room.Manifest) { m.Description = strings.Repeat("d", 1025) },
		"version is required":               func(m *room.Manifest) { m.Version = "" },
		"version must be SemVer":            func(m *room.Manifest) { m.Version = "v1" },
		"implements is required":            func(m *room.Manifest) { m.Implements = nil },
		"there is no interface":             func(m *room.Manifest) { m.Implements = []room.Interface{"PreCoffee"} },
		"stands there twice":                func(m *room.Manifest) { m.Implements = append(m.Implements, room.PostRoomCreate) },
		"not among implements":              func(m *room.Manifest) { m.Essentials = []room.Interface{room.PreRoomUserLeave} },
		"essentials: there is no interface": func(m *room.Manifest) { m.Essentials = []room.Interface{"PreRoomUserJoin"} },
		"when: there is no interface":       func(m *room.Manifest) { m.When = map[room.Interface]string{"PreRoomUserJoin": "true"} },
		"cannot block it":                   func(m *room.Manifest) { m.Essentials = []room.Interface{room.PostRoomCreate} },
		"timeoutMs must be":                 func(m *room.Manifest) { m.TimeoutMs = new(0) },
		"timeoutMs must be 1 to ":           func(m *room.Manifest) { m.TimeoutMs = new(60_001) },
		"when: \"PreRoomUserLeave\" is not": func(m *room.Manifest) { m.When = map[room.Interface]string{room.PreRoomUserLeave: "true"} },
		"comes after the change":            func(m *room.Manifest) { m.When = map[room.Interface]string{room.PostRoomCreate: "true"} },
		"at most 2048": func(m *room.Manifest) {
			m.When = map[room.Interface]string{room.PreRoomUserJoined: strings.Repeat(" ", 2049)}
		},
	} {
		m := good
		spoil(&m)
		err := m.Validate()
		require.ErrorIs(t, err, &room.Error{Code: room.CodeInvalidRequest}, says)
		assert.ErrorContains(t, err, says)
	}
}
