package subjects

import (
	"cmp"
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
	Rollback = "rollback"
	Remove   = "remove"
	Replica  = "replica"
)

// The streams and buckets.
const (
	Events        = "ROOM_EVENTS"
	AllEvents     = "room.post.>"
	Rejections    = "ROOM_REJECTIONS"
	AllRejections = "room.rejected.>"
	DeadLetters   = "ROOM_DEAD_LETTERS"
	AllDead       = "room.dead.>"
	Replays       = "ROOM_REPLAYS"
	AllReplays    = "room.replay.>"
	GivenUp       = "ROOM_GIVEN_UP"
	AppsBucket    = "ROOM_APPS"
	AppsStream    = bucketStream + AppsBucket // that the bucket is made of
	AllApps       = bucketKeys + AppsBucket + ".>"
	// RegistryRevision and RegistryApps are keys in the metadata of ROOM_EVENTS: the last known revision of
	// the bucket, and the apps registered then.
	RegistryRevision = "roombus.registry.revision"
	RegistryApps     = "roombus.registry.apps"
	// Restoring is a key in the metadata of ROOM_EVENTS while a backup is restored: when that began.
	Restoring    = "roombus.restoring"
	bucketStream = "KV_"
	bucketKeys   = "$KV."

	Snapshots       = "ROOM_SNAPSHOTS"
	SnapshotsStream = "OBJ_" + Snapshots // that the object store is made of
	Snapshot        = "projection"       // the object

	AllSnapshotMetas = snapshotMetas + ">"
	snapshotMetas    = "$O." + Snapshots + ".M."
)

// BucketStream is the stream that a key-value bucket is made of.
func BucketStream(bucket string) string { return bucketStream + bucket }

// AllKeys are the subjects of that stream.
func AllKeys(bucket string) string { return bucketKeys + bucket + ".>" }

// AppKey is the subject of an app's registration in the bucket.
func AppKey(app string) string { return bucketKeys + AppsBucket + "." + app }

// Room is the subject of a command or query about rooms.
func Room(endpoint string) string { return ServiceGroup + "." + endpoint }

// App is the subject of a request about apps.
func App(endpoint string) string { return AppGroup + "." + endpoint }

// Deciding is the subject on which replicas of the service tell each other of commands about which apps
// take their time.
const Deciding = "room.deciding"

// Handover is the subject on which one replica of the service gets commands from the others.
func Handover(replica string, e room.EventType) string {
	return "room.handover." + replica + "." + e.Command()
}

// AllPre are the subjects on which apps are asked.
const AllPre = "room.pre.>"

// Pre is the subject on which an app is asked.
func Pre(i room.Interface, app string) string { return PreType(i) + "." + app }

// PreRetry is the subject on which every worker of an app hears of a pre-event that one of them
// has not answered yet.
func PreRetry(i room.Interface, app string) string { return Pre(i, app) + ".retry" }

// PreType is the subject of a pre-event without the app: its CloudEvents type.
func PreType(i room.Interface) string { return "room.pre." + i.Token() }

// AppQueue is the queue group of an app's workers.
func AppQueue(app string) string { return app }

// Durable is the name of an app's consumers, that of post-events and that of replays.
func Durable(app string) string { return app }

// BehindKey is the key in the metadata of an app's consumer of the sequence behind which the app
// gets events of a type, if it began to implement it later than others.
func BehindKey(e room.EventType) string { return "roombus.behind." + string(e) }

// Turn is the subject on which an app's workers tell each other which events of a room are done.
func Turn(app string) string { return "room.turn." + app }

// GivenUpOf is the subject on which the server says that the consumers of a stream have given
// a message up, having delivered it as often as they may.
func GivenUpOf(stream string) string {
	return "$JS.EVENT.ADVISORY.CONSUMER.MAX_DELIVERIES." + stream + ".*"
}

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

// Dead is the subject of an app's dead letter.
func Dead(app string, e room.EventType, roomID string) string {
	return "room.dead." + app + "." + string(e) + "." + roomID
}

// DeadLike filters dead letters by what is not empty.
func DeadLike(app string, e room.EventType, roomID string) string {
	return Dead(cmp.Or(app, "*"), cmp.Or(e, "*"), cmp.Or(roomID, "*"))
}

// Replay is the subject of a dead letter that its app gets once more.
func Replay(app string, e room.EventType, roomID string) string {
	return "room.replay." + app + "." + string(e) + "." + roomID
}

// ReplaysOf filters the replays of one app.
func ReplaysOf(app string) string { return "room.replay." + app + ".>" }

// DeadOf filters the dead letters of one app.
func DeadOf(app string) string { return "room.dead." + app + ".>" }

// AppOf is the app of a dead letter's or replay's subject.
func AppOf(subject string) string {
	tokens := strings.SplitN(subject, ".", 4)
	if len(tokens) < 4 {
		return ""
	}
	return tokens[2]
}

// SnapshotParts is the subject of the parts of the object of that id in the store of snapshots.
func SnapshotParts(id string) string { return "$O." + Snapshots + ".C." + id }

// SnapshotMeta is the subject of what the store of snapshots knows of the object.
func SnapshotMeta() string {
	return snapshotMetas + base64.URLEncoding.EncodeToString([]byte(Snapshot))
}

// ParsePost takes the subject of a post-event apart. The room is known even if the type of
// event is not one that exists; ok is false if there is no room in the subject.
func ParsePost(subject string) (e room.EventType, roomID string, ok bool) {
	rest, ok := strings.CutPrefix(subject, "room.post.")
	kind, roomID, _ := strings.Cut(rest, ".")
	if !ok || !room.IsToken(roomID) {
		return "", "", false
	}
	return room.EventType(kind), roomID, true
}
