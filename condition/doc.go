// Package condition evaluates the conditions of app manifests: expressions in CEL, the Common
// Expression Language (https://cel.dev), that say for a pre-interface whether the app is asked at
// all.
//
//	"when": {
//	    "PreRoomUserJoined":    "room.type == 'private_group' && !('admin' in actor.roles)",
//	    "PreRoomCreatePrevent": "event.members.exists(m, m.id.startsWith('bot-'))"
//	}
//
// An expression is compiled once, when the app registers. Unknown variables and fields, types that
// do not go together, and what is no bool are refused then, with line and column. It is evaluated,
// in a microsecond or two, for each event that the app would be asked about. Evaluating changes
// nothing, knows no clock and no network, and gives the same answer on every replica.
//
// # Variables
//
//	room   the room as it is before the change; of a creation, the draft
//	user   whose membership it is about
//	actor  who acts
//	event  id, type (create, delete, userjoin, userleave), interface, time of the command, and
//	       members: whom the room would start with, empty but for a creation
//
//	            create       delete        userjoin                userleave
//	user        the creator  who deletes   who joins               who leaves
//	actor       the creator  who deletes   who invites, or joins   who removes, or leaves
//
// The user who deletes a room may not be known: then the id of both is empty. Rooms and users have
// the fields of the wire, by the names they have there: room.slugifiedName, actor.roles. Fields
// that are absent read as empty, 0 or false, and has(room.description) tells. Two users are equal
// if their ids are.
//
// What lies in customFields and attributes has a type only when it is read:
//
//	room.customFields.tier == "gold"                                  an error where there is no tier
//	has(room.customFields.tier) && room.customFields.tier == "gold"   false there
//	"gold" == room.customFields.tier || user.id == "root"             true for root anyhow
//
// A whole number of up to 64 bits is an int there, whether written 5, 5.0 or 5e0, any other number
// is a double, and the two are compared as numbers. null can be compared with ==, not with <.
//
// # Language
//
// It is CEL with its standard functions and macros and nothing added. Two things are left out: an
// expression makes no objects, and the pattern of matches must be a literal. Patterns are those of
// RE2.
//
// # Limits
//
//	expression   2,048 bytes (room.MaxConditionSize), nested 50 deep
//	pattern      100 instructions when compiled
//	evaluation   MaxCost steps; then it is given up, after some milliseconds
//
// An expression that would take more than MaxCost for a room with 1,000 members is refused when it
// is compiled.
//
// # Failures
//
// An evaluation that fails has no answer, neither true nor false: what becomes of the app's vote
// is for the caller to say. It never panics, whatever lies in the event.
package condition
