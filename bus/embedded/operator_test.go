package embedded_test

import (
	"os"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/nats-io/jwt/v2"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/nats-io/nkeys"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/roombus/roombus/bus/embedded"
)

// operated returns an operator with a system account, and an account with JetStream that has a user.
func operated(t *testing.T) *embedded.Operator {
	t.Helper()
	key := func(create func() (nkeys.KeyPair, error)) (nkeys.KeyPair, string) {
		pair, err := create()
		require.NoError(t, err)
		public, err := pair.PublicKey()
		require.NoError(t, err)
		return pair, public
	}
	operator, operatorID := key(nkeys.CreateOperator)
	_, system := key(nkeys.CreateAccount)
	rooms, roomsID := key(nkeys.CreateAccount)
	user, userID := key(nkeys.CreateUser)

	claims := jwt.NewOperatorClaims(operatorID)
	claims.SystemAccount = system
	token, err := claims.Encode(operator)
	require.NoError(t, err)
	systemToken, err := jwt.NewAccountClaims(system).Encode(operator)
	require.NoError(t, err)
	account := jwt.NewAccountClaims(roomsID)
	account.Limits.JetStreamLimits = jwt.JetStreamLimits{DiskStorage: -1, MemoryStorage: -1, Streams: -1, Consumer: -1}
	accountToken, err := account.Encode(operator)
	require.NoError(t, err)
	userToken, err := jwt.NewUserClaims(userID).Encode(rooms)
	require.NoError(t, err)
	seed, err := user.Seed()
	require.NoError(t, err)
	creds, err := jwt.FormatUserConfig(userToken, seed)
	require.NoError(t, err)
	file := filepath.Join(t.TempDir(), "user.creds")
	require.NoError(t, os.WriteFile(file, creds, 0o600))
	return &embedded.Operator{
		Token: token, Accounts: map[string]string{system: systemToken, roomsID: accountToken}, Streams: roomsID, Creds: file,
	}
}

func start(t *testing.T, dir string, operator *embedded.Operator) (jetstream.JetStream, *embedded.Server) {
	t.Helper()
	s, err := embedded.Start(t.Context(), embedded.Config{StoreDir: dir, Operator: operator})
	require.NoError(t, err)
	t.Cleanup(s.Shutdown)
	nc, err := s.Connect()
	require.NoError(t, err)
	t.Cleanup(nc.Close)
	js, err := jetstream.New(nc)
	require.NoError(t, err)
	return js, s
}

func TestMoveStreams_KeepsMessagesAndConsumers(t *testing.T) {
	t.Parallel()
	const messages = 100
	dir, operator := t.TempDir(), operated(t)
	js, s := start(t, dir, nil)
	_, err := js.CreateStream(t.Context(), jetstream.StreamConfig{Name: "E", Subjects: []string{"e.>"}})
	require.NoError(t, err)
	for n := range messages {
		_, err := js.Publish(t.Context(), "e."+strconv.Itoa(n), nil)
		require.NoError(t, err)
	}
	consumer, err := js.CreateConsumer(t.Context(), "E", jetstream.ConsumerConfig{Durable: "d", AckPolicy: jetstream.AckExplicitPolicy})
	require.NoError(t, err)
	msg, err := consumer.Next()
	require.NoError(t, err)
	require.NoError(t, msg.DoubleAck(t.Context()))

	_, err = embedded.MoveStreams(dir, operator.Streams)
	require.ErrorIs(t, err, embedded.ErrStoreLocked, "the server runs")
	s.Shutdown()
	_, err = embedded.Start(t.Context(), embedded.Config{StoreDir: dir, Operator: operator})
	require.ErrorIs(t, err, embedded.ErrOtherAccount, "it would start without the streams")
	for _, want := range []int{1, 0} {
		moved, err := embedded.MoveStreams(dir, operator.Streams)
		require.NoError(t, err)
		assert.Equal(t, want, moved)
	}
	_, err = embedded.Start(t.Context(), embedded.Config{StoreDir: dir})
	require.ErrorIs(t, err, embedded.ErrOtherAccount, "nor does it start without the operator")

	js, _ = start(t, dir, operator)
	stream, err := js.Stream(t.Context(), "E")
	require.NoError(t, err)
	assert.EqualValues(t, messages, stream.CachedInfo().State.Msgs)
	consumer, err = js.Consumer(t.Context(), "E", "d")
	require.NoError(t, err)
	assert.EqualValues(t, 1, consumer.CachedInfo().AckFloor.Stream)
	assert.EqualValues(t, messages-1, consumer.CachedInfo().NumPending)
}

func TestMoveStreams_AccountWithStreams_IsRefused(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for _, account := range []string{"$G", "A"} {
		require.NoError(t, os.MkdirAll(filepath.Join(dir, "jetstream", account, "streams", "E"), 0o700))
	}
	_, err := embedded.MoveStreams(dir, "A")
	require.ErrorIs(t, err, embedded.ErrOtherAccount)
	assert.DirExists(t, filepath.Join(dir, "jetstream", "$G", "streams", "E"))
}
