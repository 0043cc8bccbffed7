package bus_test

import (
	"testing"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/roombus/roombus/bus"
)

func TestAppend_ClassifiesErrors(t *testing.T) {
	t.Parallel()
	nc := connect(t)
	js, err := jetstream.New(nc)
	require.NoError(t, err)
	msg := func() *nats.Msg { return &nats.Msg{Subject: "a.x.1", Data: []byte("d")} }
	guard := bus.Guard{Filter: "a.*.1"}
	a := newRequester(t, nc)
	_, err = a.Append(t.Context(), msg(), "id1", guard)
	require.ErrorIs(t, err, bus.ErrRefused, "there is no stream")

	_, err = js.CreateStream(t.Context(), jetstream.StreamConfig{Name: "A", Subjects: []string{"a.>"}, MaxMsgSize: 2000})
	require.NoError(t, err)
	seq, err := a.Append(t.Context(), msg(), "id1", guard)
	require.NoError(t, err)
	assert.Equal(t, uint64(1), seq)
	_, err = a.Append(t.Context(), msg(), "id2", guard)
	require.ErrorIs(t, err, bus.ErrConflict, "the guard applies to the filter, not to the subject")
	guard.Seq = 1
	_, err = a.Append(t.Context(), msg(), "id1", guard)
	require.ErrorIs(t, err, bus.ErrStored)
	big := msg()
	big.Data = make([]byte, 3000)
	_, err = a.Append(t.Context(), big, "id3", guard)
	require.ErrorIs(t, err, bus.ErrTooLarge)
	big.Data = make([]byte, 2<<20)
	_, err = a.Append(t.Context(), big, "id4", guard)
	require.ErrorIs(t, err, bus.ErrTooLarge)
	_, err = a.Append(t.Context(), msg(), "id5", guard)
	require.NoError(t, err, "a refused message changes nothing")
	nc.Close()
	_, err = a.Append(t.Context(), msg(), "id6", guard)
	require.ErrorIs(t, err, bus.ErrUncertain, "the library returns the same error for a message that was sent before")
}

func TestTraceParent(t *testing.T) {
	t.Parallel()
	const given = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
	assert.Equal(t, given, bus.TraceParent(nats.Header{"traceparent": {given}}, "id"))
	assert.Equal(t, given, bus.TraceParent(nats.Header{"Traceparent": {given}}, "id"))
	made := bus.TraceParent(nil, "id")
	assert.Regexp(t, `^00-[0-9a-f]{32}-[0-9a-f]{16}-00$`, made)
	assert.Equal(t, made, bus.TraceParent(nats.Header{"traceparent": {"nonsense"}}, "id"), "one id is one trace")
	assert.NotEqual(t, made, bus.TraceParent(nil, "other"))
}
