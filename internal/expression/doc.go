// Package expression evaluates the CEL expressions of manifests. CEL is the Common Expression Language
// (https://cel.dev). A condition decides whether an app is asked for a pre-interface, and the rules of a
// policy decide about the event.
//
//	condition.go    the conditions of a manifest
//	language.go     what expressions can see, and compiling them
//	expression.go   a compiled expression
//	evaluation.go   an event for which expressions are evaluated; zone.go has the time zones
//	environment.go  the declarations of the language; fields.go, object.go and variables.go have the variables
//	document.go     the documents of policies; array.go and dictionary.go make them fast to read
//	json.go         results as JSON
//	cost.go         bounds the cost of an evaluation; prices.go, bounded.go, matching.go, maker.go and
//	                visitor.go have what the library does not bound
//	nesting.go      bounds the time of a compilation
//
// Two conditions:
//
//	"when": {
//	    "PreRoomUserJoined":    "room.type == 'private_group' && !('admin' in actor.roles)",
//	    "PreRoomCreatePrevent": "event.members.exists(m, m.id.startsWith('bot-'))"
//	}
//
// An expression is compiled once, when the app registers. Compile refuses unknown variables and fields,
// type errors, and expressions that are not bool, with line and column. The expression is evaluated for
// each event that the app would be asked about, in one to two microseconds. An evaluation changes
// nothing, uses no clock and no network, and gives the same result on every replica.
//
// # Variables
//
//	room   the room before the change; for a creation, the draft
//	user   the user of the event
//	actor  the user that acts
//	event  id, type (create, delete, userjoin, userleave, update, userupdate), interface, time of
//	       the command, members: the initial members of a creation, otherwise empty, and changed:
//	       the names of the fields that an update changes, otherwise empty
//
//	            user                    actor
//	create      the creator             the creator
//	delete      the deleter             the deleter
//	userjoin    the joining user        the inviter or user
//	userleave   the leaving user        the remover or user
//	update      the updater             the updater
//	userupdate  the member before it    the updater or user
//
// The interfaces of an update have two more variables, before and after. They are the room for
// PreRoomUpdatePrevent and the member for PreRoomUserUpdatePrevent:
//
//	before.type == "channel" && after.type != "channel"
//	"admin" in after.roles && !("admin" in before.roles)
//	"displayName" in event.changed
//
// If the deleter or updater of a room is unknown, the ids of user and actor are empty. Rooms and users have the
// fields and names of the wire: room.slugifiedName, actor.roles. An absent field reads as empty, 0 or
// false; has(room.description) tests for it. Two users are equal if their ids are equal.
//
// Values in customFields and attributes have dynamic types:
//
//	room.customFields.tier == "gold"                                  an error if tier is absent
//	has(room.customFields.tier) && room.customFields.tier == "gold"   false if tier is absent
//	"gold" == room.customFields.tier || user.id == "root"             true for root in any case
//
// A whole number of up to 64 bits is an int, in any notation such as 5, 5.0 or 5e0. Any other number
// is a double. Ints and doubles are compared as numbers. null can be compared with ==, not with <.
//
// Rules read the documents that the policy names, as params.name. A missing document is an error where it is
// read; has(params.name) tests for one that is not empty. Searching a long array of strings, numbers, bools
// and nulls is one step:
//
//	user.id in params.bans
//
// # Language
//
// The language is CEL with its standard functions and macros. There are two restrictions: an
// expression cannot create objects, and the pattern of matches must be a literal. Patterns are RE2.
//
// # Limits
//
//	expression   2,048 bytes (room.MaxExpressionBytes), nested 50 deep; lists, maps and macros 20 deep
//	number       1,024 characters, in events and documents
//	pattern      100 instructions when compiled
//	evaluation   MaxCost steps; then it is cancelled, after some milliseconds. The rules of a policy
//	             for one interface have that together.
//	matches      600,000 bytes of the text times instructions of the pattern
//	document     1 MiB (room.MaxParamBytes), MaxDocumentValues values
//
// Compile refuses an expression whose estimated cost for a room with 1,000 members exceeds MaxCost.
//
// # Failures
//
// A failed evaluation is neither true nor false: the caller decides how to treat the app. An evaluation
// never panics, for any event.
package expression
