package main

import (
	"context"
	"errors"
	"maps"
	"strings"

	"github.com/spf13/cobra"

	"github.com/roombus/roombus/room"
	"github.com/roombus/roombus/roomclient"
)

// patchForms is the help text of commands that take patches.
const patchForms = `

--patch is an RFC 7396 merge patch: an object with the fields to set, and null for a field to remove.
The other flags are added to it.`

func (r *rooms) update() *cobra.Command {
	p := patching{object: "customFields", flag: "field"}
	var by room.User
	var version uint64
	c := &cobra.Command{
		Use:   "update ROOM",
		Short: "Change a room",
		Long: `update changes the given fields of a room and leaves the others. An empty text removes a field. A
custom field with the value null is removed: --field topic=null.` + patchForms + userForms,
		Example: `  roombus room update lobby --display-name "The Lobby" --field topic=sofas
  roombus room update lobby --read-only=false --if-version 7
  roombus room update lobby --patch '{"description":null}'`,
		Args: exactly("ROOM"),
	}
	f := c.Flags()
	p.text(c, "slug", "slugifiedName", "slugified name")
	p.text(c, "type", "type", "channel or private_group")
	p.text(c, "display-name", "displayName", "display name")
	p.text(c, "description", "description", "description")
	p.text(c, "parent", "parentRoomId", "id of the parent room")
	p.boolean(c, "read-only", "isReadOnly", "make it read-only")
	p.boolean(c, "default", "isDefault", "make it a default room")
	p.boolean(c, "system-messages", "displaySystemMessages", "show system messages in it")
	p.addFlags(c, "custom field")
	f.Var((*userValue)(&by), "by", "user that changes it")
	f.Uint64Var(&version, "if-version", 0, "change the room only if it has this version; 0: any")
	c.PreRunE = func(c *cobra.Command, _ []string) error { return p.read(c, "") }
	return r.command(c, func(ctx context.Context, client *roomclient.Client, args []string, opts ...roomclient.Option) (room.Result, error) {
		return client.Update(ctx, room.UpdateRequest{RoomID: args[0], Patch: p.patch, UpdatedBy: optional(by), IfVersion: version}, opts...)
	})
}

func (r *rooms) member() *cobra.Command {
	return group(&cobra.Command{Use: "member", Short: "Change a member of a room"}, r.updateMember())
}

func (r *rooms) updateMember() *cobra.Command {
	p := patching{object: "attributes", flag: "attribute"}
	var roles []string
	var by room.User
	c := &cobra.Command{
		Use:   "update ROOM USER",
		Short: "Change a member of a room",
		Long: `update changes the given fields of a member and leaves the others. USER is the id of the member. An
empty text removes a field. --role replaces all roles; --role "" removes them. An attribute with the
value null is removed: --attribute level=null.` + patchForms,
		Example: `  roombus room member update lobby bob --role moderator --by ada
  roombus room member update lobby bob --attribute badge=7 --name ""`,
		Args: exactly("ROOM", "USER"),
	}
	f := c.Flags()
	p.text(c, "username", "username", "user name")
	p.text(c, "name", "name", "name")
	f.StringArrayVar(&roles, "role", nil, "role of the member; may be repeated")
	p.addFlags(c, "attribute")
	f.Var((*userValue)(&by), "by", "user that changes the member")
	c.PreRunE = func(c *cobra.Command, args []string) error {
		if strings.HasPrefix(args[1], "{") {
			return usage(c, "USER must be the id of the member, not %q: give the changes with --patch", args[1])
		}
		if f.Changed("role") {
			given := make([]any, 0, len(roles))
			for _, role := range roles {
				if role != "" {
					given = append(given, role)
				}
			}
			p.set("roles", given)
		}
		if err := p.read(c, args[1]); err != nil {
			return err
		}
		p.patch["id"] = args[1]
		return nil
	}
	return r.command(c, func(ctx context.Context, client *roomclient.Client, args []string, opts ...roomclient.Option) (room.Result, error) {
		return client.UpdateMember(ctx, room.UpdateMemberRequest{RoomID: args[0], User: p.patch, UpdatedBy: optional(by)}, opts...)
	})
}

// patching collects a patch from flags.
type patching struct {
	object   string // the field with arbitrary keys
	flag     string // for one of the keys
	document string
	fields   []string
	changes  map[string]any
	patch    room.Patch // once read
}

func (p *patching) set(field string, value any) {
	if p.changes == nil {
		p.changes = make(map[string]any)
	}
	p.changes[field] = value
}

func (p *patching) text(c *cobra.Command, name, field, says string) {
	c.Flags().Func(name, says, func(s string) error { p.set(field, s); return nil })
}

func (p *patching) boolean(c *cobra.Command, name, field, says string) {
	c.Flags().BoolFunc(name, says, func(s string) error {
		if s != "true" && s != "false" {
			return errors.New("must be true or false")
		}
		p.set(field, s == "true")
		return nil
	})
}

func (p *patching) addFlags(c *cobra.Command, says string) {
	c.Flags().StringArrayVar(&p.fields, p.flag, nil, says+" as key=value, the value as JSON or else as text; may be repeated")
	c.Flags().StringVar(&p.document, "patch", "", "merge patch as JSON")
}

// read makes the patch of the room, or of the member with the id.
func (p *patching) read(c *cobra.Command, id string) error {
	p.patch = room.Patch{}
	if p.document != "" {
		if err := room.Decode([]byte(p.document), &p.patch); err != nil {
			var refused *room.Error
			_ = errors.As(err, &refused) // Decode returns no other error
			return usage(c, "--patch must be a JSON object, such as '{\"description\":null}': %s", refused.Message)
		}
		if p.patch == nil {
			return usage(c, "--patch must be a JSON object, such as '{\"description\":null}', not null")
		}
	}
	fields, err := parseFields(c, p.flag, p.fields)
	if err != nil {
		return err
	}
	if len(fields) > 0 {
		within, isObject := p.patch[p.object].(map[string]any)
		if _, given := p.patch[p.object]; given && !isObject {
			return usage(c, "--patch sets or removes %s as a whole, so --%s has no effect: give one of them", p.object, p.flag)
		}
		if within == nil {
			within = make(map[string]any)
		}
		maps.Copy(within, fields)
		p.patch[p.object] = within
	}
	maps.Copy(p.patch, p.changes)
	if other, given := p.patch["id"]; given && id != "" {
		if other != id {
			return usage(c, "--patch names another user than USER: %v", other)
		}
		delete(p.patch, "id")
	}
	if len(p.patch) == 0 {
		return usage(c, "nothing to change: give at least one field")
	}
	return nil
}
