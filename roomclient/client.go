package roomclient

import (
	"cmp"
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

// Config configures a client. The zero Config is usable.
type Config struct {
	// Timeout bounds a call whose context has no deadline. Default 10 s.
	Timeout time.Duration
	// AttemptTimeout bounds one attempt: how long the client waits for a reply before it sends the request
	// again with the same id. Default 4.25 s: the service's default budget of 4 s plus 250 ms for the
	// reply. A command with slow apps may need the whole budget, so a shorter attempt would be wasted.
	//
	// A hanging replica must not use up the whole call. Therefore an attempt takes at most 85 % of the
	// time left of the call, and at most half of it after an attempt without a reply: then the replica
	// probably hangs, and each attempt may reach another replica. In a call of 10 s the attempts begin
	// after 0, 4.25, 7.1 and 8.6 s, in a call of 5 s after 0, 4.25 and 4.6 s.
	AttemptTimeout time.Duration
}

// Client calls the room service. It is safe for concurrent use.
//
// Its reads are at least as new as its earlier commands and reads, and as the sequences passed to
// NotOlderThan. A replica of the service that lags behind waits before it replies.
type Client struct {
	nc     *nats.Conn
	cfg    Config
	newest newest
}

// New returns a client that uses the connection. The caller closes the connection.
func New(nc *nats.Conn, cfg Config) *Client {
	if cfg.Timeout <= 0 {
		cfg.Timeout = 10 * time.Second
	}
	if cfg.AttemptTimeout <= 0 {
		cfg.AttemptTimeout = 4250 * time.Millisecond
	}
	return &Client{nc: nc, cfg: cfg}
}

// Option sets headers of one call.
type Option func(nats.Header)

// WithID sets the command's id, one token of A-Z a-z 0-9 _ -. A program that may repeat a
// command after a restart stores the id and passes it again. Default: a new UUID.
func WithID(id string) Option { return func(h nats.Header) { h.Set(subjects.CommandID, id) } }

// WithTraceParent makes the command part of a W3C trace.
func WithTraceParent(v string) Option {
	return func(h nats.Header) { h.Set(subjects.TraceParent, v) }
}

// Create creates a room. Errors: room_exists, prevented, too_large and those of all commands:
// invalid_request, conflict, overloaded, essential_app_unavailable, unavailable and
// deadline_exceeded.
func (c *Client) Create(ctx context.Context, r room.CreateRequest, opts ...Option) (room.Result, error) {
	return c.command(ctx, subjects.Create, r, opts)
}

// Update changes a room. Changed is false if the patch changes nothing. Errors: room_not_found,
// prevented, too_large, conflict if the room does not have the version of IfVersion, and those of all
// commands.
func (c *Client) Update(ctx context.Context, r room.UpdateRequest, opts ...Option) (room.Result, error) {
	return c.command(ctx, subjects.Update, r, opts)
}

// Delete deletes a room. Errors: room_not_found, prevented and those of all commands.
func (c *Client) Delete(ctx context.Context, r room.DeleteRequest, opts ...Option) (room.Result, error) {
	return c.command(ctx, subjects.Delete, r, opts)
}

// Join makes a user a member of a room. Changed is false if the user is already a member. Errors:
// room_not_found, user_not_allowed and those of all commands.
func (c *Client) Join(ctx context.Context, r room.JoinRequest, opts ...Option) (room.Result, error) {
	return c.command(ctx, subjects.Join, r, opts)
}

// Leave ends a membership. Changed is false if the user is not a member. Errors: room_not_found,
// user_not_allowed and those of all commands.
func (c *Client) Leave(ctx context.Context, r room.LeaveRequest, opts ...Option) (room.Result, error) {
	return c.command(ctx, subjects.Leave, r, opts)
}

// UpdateMember changes a member of a room. Changed is false if the patch changes nothing. Errors:
// room_not_found, member_not_found, prevented, too_large and those of all commands.
func (c *Client) UpdateMember(ctx context.Context, r room.UpdateMemberRequest, opts ...Option) (room.Result, error) {
	return c.command(ctx, subjects.UpdateMember, r, opts)
}

// Get returns a room. Error: room_not_found.
func (c *Client) Get(ctx context.Context, roomID string) (room.Room, error) {
	return call[room.Room](ctx, c, subjects.Room(subjects.Get), room.GetRequest{RoomID: roomID}, []Option{asRead})
}

// List returns a page of the rooms that match the request. Error: invalid_request.
func (c *Client) List(ctx context.Context, r room.ListRequest) (room.Page, error) {
	return call[room.Page](ctx, c, subjects.Room(subjects.List), r, []Option{asRead})
}

// Members returns a page of a room's members. Error: room_not_found.
func (c *Client) Members(ctx context.Context, r room.MembersRequest) (room.MemberPage, error) {
	return call[room.MemberPage](ctx, c, subjects.Room(subjects.Members), r, []Option{asRead})
}

// AllRooms reads all rooms that match the request page by page, in its order, from its cursor on. A
// Limit of 0 means pages of MaxPage. It ends after the first error.
func (c *Client) AllRooms(ctx context.Context, r room.ListRequest) iter.Seq2[room.Room, error] {
	r.Limit = cmp.Or(r.Limit, room.MaxPage)
	return pages(r.Cursor, func(cursor string) ([]room.Room, string, error) {
		page := r
		page.Cursor = cursor
		p, err := c.List(ctx, page)
		return p.Rooms, p.Cursor, err
	})
}

// AllMembers reads the members of a room page by page, in the order of their ids. It ends
// after the first error.
func (c *Client) AllMembers(ctx context.Context, roomID string) iter.Seq2[room.User, error] {
	return pages("", func(cursor string) ([]room.User, string, error) {
		p, err := c.Members(ctx, room.MembersRequest{RoomID: roomID, Cursor: cursor, Limit: room.MaxPage})
		return p.Members, p.Cursor, err
	})
}

// pages reads pages from the cursor on. A page may be empty and not be the last.
func pages[T any](first string, read func(cursor string) ([]T, string, error)) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		cursor := first
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

// RegisterApp registers an app, or a later version of its manifest. It returns the manifest in force:
// the manifest of the latest version, or of the version rolled back to, with the settings of
// operators. When it returns, every replica of the service asks the app. Error: invalid_request,
// also for a different manifest with a version that is already registered.
func (c *Client) RegisterApp(ctx context.Context, m room.Manifest) (room.Manifest, error) {
	return call[room.Manifest](ctx, c, subjects.App(subjects.Register), m, nil)
}

// Apps returns all registered apps with their states, in the order in which they are asked.
func (c *Client) Apps(ctx context.Context) ([]room.App, error) {
	return call[[]room.App](ctx, c, subjects.App(subjects.List), room.AppRequest{}, nil)
}

// App returns a registered app with its state. Error: app_not_found.
func (c *Client) App(ctx context.Context, id string) (room.App, error) {
	return call[room.App](ctx, c, subjects.App(subjects.Info), room.AppRequest{ID: id}, nil)
}

// EnableApp enables an app and closes its breakers. It overrides the manifest.
// Error: app_not_found.
func (c *Client) EnableApp(ctx context.Context, id string) (room.Manifest, error) {
	return call[room.Manifest](ctx, c, subjects.App(subjects.Enable), room.AppRequest{ID: id}, nil)
}

// DisableApp disables an app, so that it is not asked. It overrides the manifest. Actions that the app is
// essential for are blocked. Error: app_not_found.
func (c *Client) DisableApp(ctx context.Context, id string) (room.Manifest, error) {
	return call[room.Manifest](ctx, c, subjects.App(subjects.Disable), room.AppRequest{ID: id}, nil)
}

// ShadowApp turns an app's shadow mode on or off. It overrides the manifest. A shadow is asked, and its
// verdicts are recorded but not enforced. Error: app_not_found.
func (c *Client) ShadowApp(ctx context.Context, id string, shadow bool) (room.Manifest, error) {
	return call[room.Manifest](ctx, c, subjects.App(subjects.Shadow), room.ShadowRequest{ID: id, Shadow: &shadow}, nil)
}

// RollbackApp puts an earlier version of the manifest in force again, and returns the manifest in force.
// The settings of operators and the waiting events do not change. While the rollback is in force,
// registering the version rolled back from, or a version in between, has no effect. A later version
// replaces the manifest. To undo the rollback, roll back to the version rolled back from. Errors: app_not_found;
// invalid_request for a version that is not remembered.
func (c *Client) RollbackApp(ctx context.Context, id, version string) (room.Manifest, error) {
	return call[room.Manifest](ctx, c, subjects.App(subjects.Rollback), room.RollbackRequest{ID: id, Version: version}, nil)
}

// RemoveApp removes an app's registration, the operators' settings for it, and its consumer with the waiting
// events. It returns the manifest that was in force. Error: app_not_found.
func (c *Client) RemoveApp(ctx context.Context, id string) (room.Manifest, error) {
	return call[room.Manifest](ctx, c, subjects.App(subjects.Remove), room.AppRequest{ID: id}, nil)
}

// command sends a command with its causes, and remembers the sequence of its event. A *room.Error has the
// command's id, also if the service did not reply.
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

// call sends a request, with retries, and decodes the reply.
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
	reply, err := c.retry(ctx, subject, h, body)
	if err != nil {
		return result, err
	}
	if err := room.DecodeLenient(reply.Data, &result); err != nil {
		return result, fmt.Errorf("reading the answer on %s: %v", subject, err) //nolint:errorlint // a decoding error has a code that is meant for requests
	}
	return result, nil
}
