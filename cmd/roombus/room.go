package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"os/user"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/spf13/cobra"

	"github.com/roombus/roombus/room"
	"github.com/roombus/roombus/room/rules"
	"github.com/roombus/roombus/roomclient"
)

// rooms holds the flags that the room commands share.
type rooms struct {
	conn connection
	out  output
	id   string // of the command
}

func newRoom() *cobra.Command {
	r := &rooms{}
	c := &cobra.Command{Use: "room", Short: "Create, change, delete, join, leave and show rooms"}
	r.conn.addFlags(c)
	r.conn.addTimeout(c, 5*time.Second)
	r.out.addFlags(c)
	return group(c, r.create(), r.update(), r.delete(), r.join(), r.leave(), r.member(), r.get(), r.list(), r.members(), newHistory(&r.conn, &r.out))
}

func (r *rooms) create() *cobra.Command {
	var req room.CreateRequest
	var fields []string
	var quiet bool
	c := &cobra.Command{
		Use:   "create [ROOM]",
		Short: "Create a room",
		Long: `create makes a room. Without ROOM it gets the id of the command, and so does the slug unless --slug
says another.` + userForms,
		Args: between(0, "ROOM"),
	}
	f := c.Flags()
	f.StringVar(&req.Room.SlugifiedName, "slug", "", "slugified name, which apps and clients may show in addresses; it is taken as it is (default: ROOM)")
	f.StringVar(&req.Room.SlugifiedName, "name", "", "")
	_ = f.MarkHidden("name") // the former name of --slug; MarkHidden fails only for an unknown flag
	f.StringVar((*string)(&req.Room.Type), "type", string(room.Channel), "channel, private_group, direct_message or live_chat")
	f.StringVar(&req.Room.DisplayName, "display-name", "", "display name")
	f.StringVar(&req.Room.Description, "description", "", "description")
	f.StringVar(&req.Room.ParentRoomID, "parent", "", "id of the parent room")
	f.BoolVar(&req.Room.IsReadOnly, "read-only", false, "make it read-only")
	f.BoolVar(&req.Room.IsDefault, "default", false, "make it a default room")
	f.BoolVar(&quiet, "no-system-messages", false, "show no system messages in it")
	f.Var((*userValue)(&req.Creator), "creator", "creator of the room (default: the user running this command)")
	f.Func("member", "initial member, as a `user`; may be repeated", func(s string) error {
		var u room.User
		defer func() { req.Members = append(req.Members, u) }()
		return (*userValue)(&u).Set(s)
	})
	f.StringArrayVar(&fields, "field", nil, "custom field as key=value, the value as JSON or else as text; may be repeated")
	c.PreRunE = func(c *cobra.Command, args []string) (err error) {
		if len(args) > 0 {
			req.Room.ID = args[0]
		} else if r.id == "" {
			r.id = newCommandID()
		}
		req.Room.SlugifiedName = cmp.Or(req.Room.SlugifiedName, req.Room.ID, r.id)
		if req.Creator.ID == "" {
			req.Creator.ID = currentUser()
		}
		req.Room.DisplaySystemMessages = new(!quiet)
		req.Room.CustomFields, err = parseFields(c, "field", fields)
		return err
	}
	return r.command(c, func(ctx context.Context, client *roomclient.Client, _ []string, opts ...roomclient.Option) (room.Result, error) {
		return client.Create(ctx, req, opts...)
	})
}

func (r *rooms) delete() *cobra.Command {
	var by room.User
	c := &cobra.Command{Use: "delete ROOM", Short: "Delete a room", Long: "delete deletes a room." + userForms, Args: exactly("ROOM")}
	c.Flags().Var((*userValue)(&by), "by", "user that deletes it")
	return r.command(c, func(ctx context.Context, client *roomclient.Client, args []string, opts ...roomclient.Option) (room.Result, error) {
		return client.Delete(ctx, room.DeleteRequest{RoomID: args[0], DeletedBy: optional(by)}, opts...)
	})
}

func (r *rooms) join() *cobra.Command {
	var joining, inviter room.User
	c := &cobra.Command{Use: "join ROOM USER", Short: "Let a user join a room", Long: "join lets a user join a room." + userForms, Args: exactly("ROOM", "USER")}
	c.Flags().Var((*userValue)(&inviter), "inviter", "user that invited")
	c.PreRunE = userArgument(&joining)
	return r.command(c, func(ctx context.Context, client *roomclient.Client, args []string, opts ...roomclient.Option) (room.Result, error) {
		return client.Join(ctx, room.JoinRequest{RoomID: args[0], User: joining, Inviter: optional(inviter)}, opts...)
	})
}

func (r *rooms) leave() *cobra.Command {
	var leaving, by room.User
	c := &cobra.Command{Use: "leave ROOM USER", Short: "Let a user leave a room", Long: "leave lets a user leave a room." + userForms, Args: exactly("ROOM", "USER")}
	c.Flags().Var((*userValue)(&by), "removed-by", "user that removes the other")
	c.PreRunE = userArgument(&leaving)
	return r.command(c, func(ctx context.Context, client *roomclient.Client, args []string, opts ...roomclient.Option) (room.Result, error) {
		return client.Leave(ctx, room.LeaveRequest{RoomID: args[0], User: leaving, RemovedBy: optional(by)}, opts...)
	})
}

func newCommandID() string { return uuid.Must(uuid.NewV7()).String() }

type change func(context.Context, *roomclient.Client, []string, ...roomclient.Option) (room.Result, error)

// command makes a cobra command that sends a command to the room service and shows its result.
func (r *rooms) command(c *cobra.Command, do change) *cobra.Command {
	c.Flags().StringVar(&r.id, "id", "", "id of the command; a command that is sent twice with the same id takes effect once (default: a new id)")
	c.RunE = r.conn.calling(func(ctx context.Context, client *roomclient.Client, w io.Writer, args []string) error {
		if r.id == "" {
			r.id = newCommandID()
		}
		result, err := do(ctx, client, args, roomclient.WithID(r.id))
		if errors.Is(err, context.Canceled) {
			return &interruptedError{commandID: r.id, err: err}
		}
		if err != nil {
			return err
		}
		return r.out.object(w, result, func(w io.Writer) { showResult(w, result) })
	})
	return c
}

func (r *rooms) get() *cobra.Command {
	c := &cobra.Command{Use: "get ROOM", Short: "Show a room", Args: exactly("ROOM")}
	show := func(w io.Writer, got room.Room) error {
		return r.out.object(w, got, func(w io.Writer) { showRoom(w, got) })
	}
	present := r.conn.calling(func(ctx context.Context, client *roomclient.Client, w io.Writer, args []string) error {
		got, err := client.Get(ctx, args[0])
		if err != nil {
			return err
		}
		return show(w, got)
	})
	past := func(w io.Writer, then *rules.State) error { return show(w, *then.Room) }
	c.RunE = r.presentOrPast(c, present, past)
	return c
}

func (r *rooms) list() *cobra.Command {
	var req room.ListRequest
	c := &cobra.Command{
		Use:     "ls",
		Aliases: aliases("ls"),
		Short:   "List the rooms",
		Long: `ls lists the rooms that match all given flags, in the order of their ids. With --slug-prefix and
without --member they are in the order of their slugs.`,
		Args: none("roombus room get ROOM shows one room"),
		RunE: r.conn.calling(func(ctx context.Context, client *roomclient.Client, w io.Writer, _ []string) error {
			t := newTable(tableOrNothing(w, r.out.json), "ROOM\tSLUG\tTYPE\tMEMBERS\tVERSION\tCREATED\tBY")
			for found, err := range client.AllRooms(ctx, req) {
				if err != nil {
					return err
				}
				if err := r.out.object(w, found, func(io.Writer) {
					fmt.Fprintf(t, "%s\t%s\t%s\t%d\t%d\t%s\t%s\n", found.ID, plain(found.SlugifiedName), found.Type,
						found.MemberCount, found.Version, clock(found.CreatedAt), plain(found.Creator.ID))
				}); err != nil {
					return err
				}
			}
			return t.Flush()
		}),
	}
	f := c.Flags()
	f.StringVar(&req.Member, "member", "", "only rooms that the user with this `id` is a member of")
	f.StringVar(&req.SlugifiedNamePrefix, "slug-prefix", "", "only rooms whose slugified name begins with this `text`")
	f.StringVar((*string)(&req.Type), "type", "", "only rooms of this type: channel, private_group, direct_message or live_chat")
	return c
}

func (r *rooms) members() *cobra.Command {
	c := &cobra.Command{Use: "members ROOM", Short: "List the members of a room", Args: exactly("ROOM")}
	show := func(w io.Writer, members iter.Seq2[room.User, error]) error {
		t := newTable(tableOrNothing(w, r.out.json), "USER\tUSERNAME\tNAME\tROLES")
		for u, err := range members {
			if err != nil {
				return err
			}
			if err := r.out.object(w, u, func(io.Writer) {
				fmt.Fprintf(t, "%s\t%s\t%s\t%s\n", plain(u.ID), plain(u.Username), plain(u.Name), plain(strings.Join(u.Roles, " ")))
			}); err != nil {
				return err
			}
		}
		return t.Flush()
	}
	present := r.conn.calling(func(ctx context.Context, client *roomclient.Client, w io.Writer, args []string) error {
		return show(w, client.AllMembers(ctx, args[0]))
	})
	past := func(w io.Writer, then *rules.State) error {
		return show(w, func(yield func(room.User, error) bool) {
			for _, u := range then.MembersAfter("", then.Room.MemberCount) {
				if !yield(u, nil) {
					return
				}
			}
		})
	}
	c.RunE = r.presentOrPast(c, present, past)
	return c
}

func tableOrNothing(w io.Writer, json bool) io.Writer {
	if json {
		return io.Discard
	}
	return w
}

func showResult(w io.Writer, r room.Result) {
	p := paintFor(w)
	if r.Changed {
		fmt.Fprintf(w, "changed: room %s, version %d, members %d (event %s, seq %d)\n",
			r.Room.ID, r.Event.Version, r.Room.MemberCount, r.Event.ID, r.Event.Seq)
	} else {
		fmt.Fprintf(w, "unchanged: room %s, version %d, members %d\n", r.Room.ID, r.Room.Version, r.Room.MemberCount)
	}
	for _, a := range r.Apps {
		p.verdict(w, a)
	}
	for _, says := range r.Warnings {
		p.warning(w, says)
	}
}

func showRoom(w io.Writer, r room.Room) {
	t := newTable(w, "room\t"+r.ID)
	line := func(key string, value any) { fmt.Fprintf(t, "%s\t%s\n", plain(key), plain(fmt.Sprint(value))) }
	line("slug", r.SlugifiedName)
	line("display name", cmp.Or(r.DisplayName, "-"))
	line("type", r.Type)
	line("creator", r.Creator.ID)
	line("created", clock(r.CreatedAt))
	line("members", r.MemberCount)
	line("version", r.Version)
	line("default", r.IsDefault)
	line("read-only", r.IsReadOnly)
	line("system messages", r.DisplaySystemMessages)
	if r.Description != "" {
		line("description", r.Description)
	}
	if r.ParentRoomID != "" {
		line("parent", r.ParentRoomID)
	}
	for _, key := range sortedKeys(r.CustomFields) {
		value, _ := json.Marshal(r.CustomFields[key]) // the value was decoded from JSON
		line("field "+key, string(value))
	}
	_ = t.Flush()
}

func sortedKeys(m map[string]any) []string {
	keys := make([]string, 0, len(m))
	for key := range m {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	return keys
}

func parseFields(c *cobra.Command, flag string, fields []string) (map[string]any, error) {
	if len(fields) == 0 {
		return nil, nil
	}
	parsed := make(map[string]any, len(fields))
	for _, f := range fields {
		key, value, ok := strings.Cut(f, "=")
		if !ok || key == "" {
			return nil, usage(c, "--%s must be key=value, not %q", flag, f)
		}
		parsed[key] = value
		if json.Valid([]byte(value)) {
			parsed[key] = json.RawMessage(value)
		}
	}
	return parsed, nil
}

func currentUser() string {
	u, err := user.Current()
	if err != nil || u.Username == "" {
		return "roombus"
	}
	return u.Username
}
