package subjects_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/roombus/roombus/room"
	"github.com/roombus/roombus/subjects"
)

func TestCauses_AreTokens(t *testing.T) {
	t.Parallel()
	for header, want := range map[string][]string{
		"": nil, "c1": {"c1"}, "c1,c-2,c_3": {"c1", "c-2", "c_3"},
		"c1,": {}, ",": {}, "c1, c2": {}, "c 1": {}, "c1;c2": {}, "c1,,c2": {}, strings.Repeat("x", 65): {},
	} {
		causes, err := subjects.Causes(subjects.Headers{"Room-Caused-By": {header}})
		if want != nil && len(want) == 0 {
			require.ErrorIs(t, err, &room.Error{Code: room.CodeInvalidRequest}, header)
			continue
		}
		require.NoError(t, err, header)
		assert.Equal(t, want, causes, header)
	}
}

func TestCausesOfReaction_EndWithEvent(t *testing.T) {
	t.Parallel()
	assert.Equal(t, []string{"c3"}, subjects.CausesOfReaction(subjects.Headers{"ce-id": {"c3"}}))
	assert.Equal(t, []string{"c1", "c2", "c3"}, subjects.CausesOfReaction(subjects.Headers{"ce-id": {"c3"}, "Room-Caused-By": {"c1,c2"}}))
}

func TestSetCauses_NoCausesNoHeader(t *testing.T) {
	t.Parallel()
	_, h, _, err := subjects.EncodePost(room.Event{ID: "c", Type: room.EventDelete, Room: "r"}, "trace")
	require.NoError(t, err)
	assert.NotContains(t, h, "Room-Caused-By")
	assert.NotContains(t, subjects.PreHeaders(room.PreRoomUserJoined, "c", "r", "trace", nil, at)(0), "Room-Caused-By")
}

// A replay of a dead letter has the headers of the original event.
func TestOrigin_HasHeadersOfEvent(t *testing.T) {
	t.Parallel()
	of := subjects.Delivered{Subject: "room.post.create.r", Seq: 7, Data: []byte(`{}`), Headers: subjects.Headers{
		"ce-id": {"c3"}, "Nats-Msg-Id": {"c3"}, "Room-Caused-By": {"c1,c2"}, "Room-Replica": {"s1"},
	}}
	_, h := subjects.EncodeDead("app", of, errors.New("broken"), 5)
	again, err := subjects.Origin(h, of.Data)
	require.NoError(t, err)
	assert.Equal(t, of, again)
}
