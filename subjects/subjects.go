package subjects

import (
	"encoding/base64"
	"strings"

	"github.com/roombus/roombus/room"
)

// The micro service and its groups of endpoints.
const (
	Service      = "rooms"
	ServiceQueue = "rooms"
	ServiceGroup = "room.svc"
	AppGroup     = "room.app"
)

// The endpoints: the last token of their subjects.
const (
	Create   = "create"
	Delete   = "delete"
	Join     = "join"
	Leave    = "leave"
	Get      = "get"
	List     = "list"
	Members  = "members"
	Register = "register"
	Info     = "info"
	Enable   = "enable"
	Disable  = "disable"
	Shadow   = "shadow"
	Remove   = "remove"
	Replica  = "replica"
)

// The streams and buckets.
const (
	Events        = "ROOM_EVENTS"
	AllEvents     = "room.post.>"
	Rejections    = "ROOM_REJECTIONS"
	AllRejections = "room.rejected.>"
	AppsBucket    = "ROOM_APPS"
	AppsStream    = "KV_" + AppsBucket // that the bucket is made of
	AllApps       = "$KV." + AppsBucket + ".>"

	Snapshots       = "ROOM_SNAPSHOTS"
	SnapshotsStream = "OBJ_" + Snapshots // that the object store is made of
	Snapshot        = "projection"       // the object
)

// Room is the subject of a command or query about rooms.
func Room(endpoint string) string { return ServiceGroup + "." + endpoint }

// App is the subject of a request about apps.
func App(endpoint string) string { return AppGroup + "." + endpoint }

// Pre is the subject on which an app is asked.
func Pre(i room.Interface, app string) string { return PreType(i) + "." + app }

// PreRetry is the subject on which every worker of an app hears of a pre-event that one of them
// has not answered yet.
func PreRetry(i room.Interface, app string) string { return Pre(i, app) + ".retry" }

// PreType is the subject of a pre-event without the app: its CloudEvents type.
func PreType(i room.Interface) string { return "room.pre." + i.Token() }

// AppQueue is the queue group of an app's workers.
func AppQueue(app string) string { return app }

// Durable is the name of an app's consumer of post-events.
func Durable(app string) string { return app }

// Post is the subject of a post-event.
func Post(e room.EventType, roomID string) string { return PostType(e) + "." + roomID }

// PostType is the subject of a post-event without the room: its CloudEvents type.
func PostType(e room.EventType) string { return "room.post." + string(e) }

// PostsOf filters the events of one room. It is also the filter of the commit's guard, which
// only holds among writers that use the identical string.
func PostsOf(roomID string) string { return "room.post.*." + roomID }

// PostsLike filters the events of one type in all rooms.
func PostsLike(e room.EventType) string { return PostType(e) + ".*" }

// Rejected is the subject of the rejection of a command.
func Rejected(command, roomID string) string { return RejectedType(command) + "." + roomID }

// RejectedType is the subject of a rejection without the room: its CloudEvents type.
func RejectedType(command string) string { return "room.rejected." + command }

// RejectionsOf filters the rejections of one room.
func RejectionsOf(roomID string) string { return "room.rejected.*." + roomID }

// SnapshotParts is the subject of the parts of the object of that id in the store of snapshots.
func SnapshotParts(id string) string { return "$O." + Snapshots + ".C." + id }

// SnapshotMeta is the subject of what the store of snapshots knows of the object.
func SnapshotMeta() string {
	return "$O." + Snapshots + ".M." + base64.URLEncoding.EncodeToString([]byte(Snapshot))
}

// ParsePost takes the subject of a post-event apart. The room is known even if the type of
// event is not one that exists; ok is false if there is no room in the subject.
func ParsePost(subject string) (e room.EventType, roomID string, ok bool) {
	tokens := strings.Split(subject, ".")
	if len(tokens) != 4 || tokens[0] != "room" || tokens[1] != "post" || !room.IsToken(tokens[3]) {
		return "", "", false
	}
	return room.EventType(tokens[2]), tokens[3], true
}
