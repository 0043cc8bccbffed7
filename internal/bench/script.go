package bench

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strconv"
	"sync/atomic"

	"github.com/google/uuid"
	"github.com/nats-io/nats.go"

	"github.com/roombus/roombus/room"
	"github.com/roombus/roombus/subjects"
)

// Command is one kind of command.
type Command string

// The commands that can be measured.
const (
	Join   Command = subjects.Join
	Leave  Command = subjects.Leave
	Create Command = subjects.Create
	// Replay is the joins and leaves of a trace.
	Replay Command = "replay"
)

// Commands lists the commands that need no trace.
func Commands() []Command { return []Command{Join, Leave, Create} }

func (c Command) event() room.EventType {
	switch c {
	case Create:
		return room.EventCreate
	case Leave:
		return room.EventUserLeave
	}
	return room.EventUserJoin
}

// side is one of the two compared systems.
type side string

const (
	roombus   side = "roombus"
	floorSide side = "floor"
)

func (s side) subject(c Command) string {
	if s == floorSide {
		return floorService(c)
	}
	return subjects.Room(string(c))
}

// sampled is the user whose join is recorded as the sample for a trace.
const sampled = "bench-sample"

// request is a command before it is sent.
type request struct {
	command   Command
	roomID    string
	body      []byte
	unchanged bool
}

// message is the request to one side. Both sides get the same bytes.
func (r request) message(to side) *nats.Msg {
	h := nats.Header{
		subjects.CommandID: {uuid.Must(uuid.NewV7()).String()},
		subjects.TimeoutMs: {"5000"},
		roomHeader:         {r.roomID},
	}
	if r.unchanged {
		h[unchangedHeader] = []string{"1"}
	}
	return &nats.Msg{Subject: to.subject(r.command), Header: h, Data: r.body}
}

func joining(roomID, userID string) request { return membership(Join, roomID, userID) }

// membership is a join or a leave.
func membership(c Command, roomID, userID string) request {
	user := room.User{ID: userID}
	var body []byte
	if c == Leave {
		body, _ = json.Marshal(room.LeaveRequest{RoomID: roomID, User: user}) // the fields are strings
	} else {
		user.Username = "name-of-" + userID
		body, _ = json.Marshal(room.JoinRequest{RoomID: roomID, User: user})
	}
	return request{command: c, roomID: roomID, body: body}
}

func creating(roomID, userID string) request {
	body, _ := json.Marshal(room.CreateRequest{
		Room:    room.NewRoom{ID: roomID, DisplayName: "Room " + roomID, SlugifiedName: roomID, Type: room.Channel},
		Creator: room.User{ID: userID, Username: "name-of-" + userID},
	})
	return request{command: Create, roomID: roomID, body: body}
}

// script generates the commands of a cell for one side: joins of new users, creations of new rooms,
// or leaves of the users that have joined. It is safe for concurrent use.
type script struct {
	names *atomic.Uint64 // counter for unique names of users and rooms
	rooms []string

	joined []request // leaves that can be sent
	left   atomic.Int64
}

// user returns a new user. Names come in no order, as in practice.
func (s *script) user() string { return name("u", s.names.Add(1)) }

func name(prefix string, n uint64) string {
	const odd = 0x9e3779b97f4a7c15
	return prefix + strconv.FormatUint(n*odd, 36)
}

// next returns the next command, or false if there is none.
func (s *script) next(c Command) (request, bool) {
	switch c {
	case Create:
		return creating(name("r", s.names.Add(1)), s.user()), true
	case Leave:
		n := s.left.Add(1) - 1
		if n >= int64(len(s.joined)) {
			return request{}, false
		}
		return s.joined[n], true
	}
	return joining(s.rooms[rand.IntN(len(s.rooms))], s.user()), true
}

// leaving returns the leaves of the users that have joined, in any order.
func leaving(joins []request) []request {
	all := make([]request, len(joins))
	for n, r := range joins {
		var j room.JoinRequest
		_ = json.Unmarshal(r.body, &j) // encoded above
		all[n] = membership(Leave, j.RoomID, j.User.ID)
	}
	rand.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	return all
}

// roomNames returns so many room names.
func roomNames(n int) []string {
	names := make([]string, n)
	for i := range names {
		names[i] = fmt.Sprintf("bench-%d-%07d", n, i)
	}
	return names
}
