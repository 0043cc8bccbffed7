package dead_test

import (
	"errors"
	"fmt"
	"testing"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/roombus/roombus/bus/embedded"
	"github.com/roombus/roombus/internal/dead"
	"github.com/roombus/roombus/subjects"
)

// A letter that comes back during a replay is not replayed again.
func TestRead_EndsAtTheStateOfTheStart(t *testing.T) {
	t.Parallel()
	server, err := embedded.Start(t.Context(), embedded.Config{StoreDir: t.TempDir()})
	require.NoError(t, err)
	t.Cleanup(server.Shutdown)
	nc, err := server.Connect()
	require.NoError(t, err)
	t.Cleanup(nc.Close)
	js, err := jetstream.New(nc)
	require.NoError(t, err)
	_, err = dead.Letters(t.Context(), js)
	require.ErrorIs(t, err, jetstream.ErrStreamNotFound)
	_, err = js.CreateStream(t.Context(), jetstream.StreamConfig{Name: subjects.DeadLetters, Subjects: []string{subjects.AllDead}})
	require.NoError(t, err)
	post := func(n int) {
		of := subjects.Delivered{Subject: fmt.Sprintf("room.post.userjoin.r%d", n), Seq: uint64(n)}
		subject, headers := subjects.EncodeDead("app", of, errors.New("bad"), 5)
		_, err := js.PublishMsg(t.Context(), &nats.Msg{Subject: subject, Header: headers})
		require.NoError(t, err)
	}
	const letters = 2 * jetstream.DefaultMaxMessages // more than one fetch
	for n := range letters {
		post(n)
	}
	stream, err := dead.Letters(t.Context(), js)
	require.NoError(t, err)
	read := 0
	for l, err := range stream.Read(t.Context(), dead.Filter{App: "app"}) {
		require.NoError(t, err)
		assert.EqualValues(t, read, l.EventSeq)
		if read == 0 {
			post(letters)
		}
		read++
	}
	assert.Equal(t, letters, read)
}
