package roomclient

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/nats-io/nats.go"

	"github.com/roombus/roombus/room"
	"github.com/roombus/roombus/subjects"
)

// Config says how a client behaves. The zero Config is a good one.
type Config struct {
	// Timeout bounds a call whose context has no deadline. Default 10 s.
	Timeout time.Duration
	// AttemptTimeout bounds one attempt: how long an answer is waited for before the request is sent
	// again with the same id. Default 4.25 s: the service's default budget of 4 s, and 250 ms for the
	// answer. A command whose apps are slow may take the whole budget, and an attempt that ends before
	// would be in vain.
	//
	// A service that hangs must not cost the whole call. So an attempt takes at most 85 % of what is
	// left of the call, and after an attempt without an answer at most half: then a service that hangs
	// is the likely cause, and each attempt may get to another replica. In a call of 10 s the attempts
	// begin after 0, 4.25, 7.1 and 8.6 s, in one of 5 s after 0, 4.25 and 4.6 s.
	AttemptTimeout time.Duration
}

// Client calls the room service. It is safe for concurrent use.
//
// Its reads are at least as new as everything that it has seen: its own commands, its earlier reads,
// and what NotOlderThan names. A replica of the service that lags behind that waits before it answers.
type Client struct {
	nc     *nats.Conn
	cfg    Config
	newest newest
}

// New makes a client that uses the connection. The caller closes the connection.
func New(nc *nats.Conn, cfg Config) *Client {
	if cfg.Timeout <= 0 {
		cfg.Timeout = 10 * time.Second
	}
	if cfg.AttemptTimeout <= 0 {
		cfg.AttemptTimeout = 4250 * time.Millisecond
	}
	return &Client{nc: nc, cfg: cfg}
}

// Option sets something for one call.
type Option func(nats.Header)

// WithID gives the command its id, one token of A-Z a-z 0-9 _ -. A caller who may repeat a
// command after a restart of its own keeps the id and passes it again. Default: a new UUID.
func WithID(id string) Option { return func(h nats.Header) { h.Set(subjects.CommandID, id) } }

// WithTraceParent makes the command part of a W3C trace.
func WithTraceParent(v string) Option {
	return func(h nats.Header) { h.Set(subjects.TraceParent, v) }
}

// Create makes a room. Errors: room_exists, prevented, too_large and those of all commands:
// invalid_request, conflict, overloaded, essential_app_unavailable, unavailable and
// deadline_exceeded.
func (c *Client) Create(ctx context.Context, r room.CreateRequest, opts ...Option) (room.Result, error) {
	return c.command(ctx, subjects.Create, r, opts)
}

// Delete ends a room. Errors: room_not_found, prevented and those of all commands.
func (c *Client) Delete(ctx context.Context, r room.DeleteRequest, opts ...Option) (room.Result, error) {
	return c.command(ctx, subjects.Delete, r, opts)
}

// Join makes a user a member of a room; one who is gets Changed false. Errors:
// room_not_found, user_not_allowed and those of all commands.
func (c *Client) Join(ctx context.Context, r room.JoinRequest, opts ...Option) (room.Result, error) {
	return c.command(ctx, subjects.Join, r, opts)
}

// Leave ends a membership; for one who is no member Changed is false. Errors: room_not_found,
// user_not_allowed and those of all commands.
func (c *Client) Leave(ctx context.Context, r room.LeaveRequest, opts ...Option) (room.Result, error) {
	return c.command(ctx, subjects.Leave, r, opts)
}

// Get reads a room. Error: room_not_found.
func (c *Client) Get(ctx context.Context, roomID string) (room.Room, error) {
	return call[room.Room](ctx, c, subjects.Room(subjects.Get), room.GetRequest{RoomID: roomID}, []Option{asRead})
}

// List reads a page of the live rooms.
func (c *Client) List(ctx context.Context, r room.ListRequest) (room.Page, error) {
	return call[room.Page](ctx, c, subjects.Room(subjects.List), r, []Option{asRead})
}

// Members reads a page of a room's members. Error: room_not_found.
func (c *Client) Members(ctx context.Context, r room.MembersRequest) (room.MemberPage, error) {
	return call[room.MemberPage](ctx, c, subjects.Room(subjects.Members), r, []Option{asRead})
}

// AllRooms reads the live rooms page by page, in the order of their ids. It ends after the
// first error.
func (c *Client) AllRooms(ctx context.Context) iter.Seq2[room.Room, error] {
	return pages(func(cursor string) ([]room.Room, string, error) {
		p, err := c.List(ctx, room.ListRequest{Cursor: cursor, Limit: room.MaxPage})
		return p.Rooms, p.Cursor, err
	})
}

// AllMembers reads the members of a room page by page, in the order of their ids. It ends
// after the first error.
func (c *Client) AllMembers(ctx context.Context, roomID string) iter.Seq2[room.User, error] {
	return pages(func(cursor string) ([]room.User, string, error) {
		p, err := c.Members(ctx, room.MembersRequest{RoomID: roomID, Cursor: cursor, Limit: room.MaxPage})
		return p.Members, p.Cursor, err
	})
}

func pages[T any](read func(cursor string) ([]T, string, error)) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		cursor := ""
		for {
			items, next, err := read(cursor)
			if err != nil {
				var none T
				yield(none, err)
				return
			}
			for _, item := range items {
				if !yield(item, nil) {
					return
				}
			}
			if next == "" {
				return
			}
			cursor = next
		}
	}
}

// RegisterApp makes an app known, or its manifest a later one, and returns the manifest that
// counts from then on: that of the latest version, or the one rolled back to, with what operators
// have decided. When it
// returns, every replica of the service asks the app. Error: invalid_request, also for
// another manifest of a version that is registered.
func (c *Client) RegisterApp(ctx context.Context, m room.Manifest) (room.Manifest, error) {
	return call[room.Manifest](ctx, c, subjects.App(subjects.Register), m, nil)
}

// Apps reads every registered app and how it is doing, in the order in which they are asked.
func (c *Client) Apps(ctx context.Context) ([]room.App, error) {
	return call[[]room.App](ctx, c, subjects.App(subjects.List), room.AppRequest{}, nil)
}

// App reads a registered app and how it is doing. Error: app_not_found.
func (c *Client) App(ctx context.Context, id string) (room.App, error) {
	return call[room.App](ctx, c, subjects.App(subjects.Info), room.AppRequest{ID: id}, nil)
}

// EnableApp has an app asked, whatever its manifest says, and closes its circuit breakers.
// Error: app_not_found.
func (c *Client) EnableApp(ctx context.Context, id string) (room.Manifest, error) {
	return call[room.Manifest](ctx, c, subjects.App(subjects.Enable), room.AppRequest{ID: id}, nil)
}

// DisableApp keeps an app from being asked, whatever its manifest says: actions that it is
// essential for are blocked. Error: app_not_found.
func (c *Client) DisableApp(ctx context.Context, id string) (room.Manifest, error) {
	return call[room.Manifest](ctx, c, subjects.App(subjects.Disable), room.AppRequest{ID: id}, nil)
}

// ShadowApp makes an app a shadow or ends that, whatever its manifest says: a shadow is asked,
// and what it says is recorded and not enforced. Error: app_not_found.
func (c *Client) ShadowApp(ctx context.Context, id string, shadow bool) (room.Manifest, error) {
	return call[room.Manifest](ctx, c, subjects.App(subjects.Shadow), room.ShadowRequest{ID: id, Shadow: &shadow}, nil)
}

// RollbackApp makes the manifest of a version that counted before count again, and returns it as it
// counts from then on. What operators have decided and the events that wait stay as they are. A worker
// that registers the version rolled back from, or one in between, changes nothing; a later version
// replaces the manifest. To undo it, roll back to the version rolled back from. Errors:
// app_not_found; invalid_request for a version that is not remembered.
func (c *Client) RollbackApp(ctx context.Context, id, version string) (room.Manifest, error) {
	return call[room.Manifest](ctx, c, subjects.App(subjects.Rollback), room.RollbackRequest{ID: id, Version: version}, nil)
}

// RemoveApp ends an app's registration, what operators have decided about it and its consumer
// with the events that wait there. It returns the manifest that counted. Error: app_not_found.
func (c *Client) RemoveApp(ctx context.Context, id string) (room.Manifest, error) {
	return call[room.Manifest](ctx, c, subjects.App(subjects.Remove), room.AppRequest{ID: id}, nil)
}

// command sends a command with what caused it, and takes note of its event. A *room.Error has the
// command's id, also if the service has not answered.
func (c *Client) command(ctx context.Context, name string, request any, opts []Option) (room.Result, error) {
	var id string
	causedBy := func(h nats.Header) { subjects.SetCauses(h, causes(ctx)) }
	noteID := func(h nats.Header) { id = h.Get(subjects.CommandID) }
	r, err := call[room.Result](ctx, c, subjects.Room(name), request, slices.Concat([]Option{causedBy}, opts, []Option{noteID}))
	if r.Event != nil {
		c.newest.raise(r.Event.Seq)
	}
	if e := (*room.Error)(nil); errors.As(err, &e) {
		e.CommandID = id
	}
	return r, err
}

// call sends a request until it is answered for good.
func call[R any](ctx context.Context, c *Client, subject string, request any, opts []Option) (R, error) {
	var result R
	body, err := room.Encode(request)
	if err != nil {
		return result, fmt.Errorf("encoding the request: %w", err)
	}
	h := nats.Header{subjects.CommandID: {uuid.Must(uuid.NewV7()).String()}}
	for _, set := range opts {
		set(h)
	}
	reply, err := c.insist(ctx, subject, h, body)
	if err != nil {
		return result, err
	}
	if err := room.DecodeLenient(reply.Data, &result); err != nil {
		return result, fmt.Errorf("reading the answer on %s: %v", subject, err) //nolint:errorlint // its code is about requests
	}
	return result, nil
}
