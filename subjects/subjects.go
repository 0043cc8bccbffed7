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
	ParamGroup   = "room.param"
)

// The endpoints: the last token of their subjects.
const (
	Create       = "create"
	Update       = "update"
	Delete       = "delete"
	Join         = "join"
	Leave        = "leave"
	UpdateMember = "updatemember"
	Get          = "get"
	List         = "list"
	Members      = "members"
	Register     = "register"
	Info         = "info"
	Enable       = "enable"
	Disable      = "disable"
	Shadow       = "shadow"
	Rollback     = "rollback"
	Remove       = "remove"
	Put          = "put"
	Replica      = "replica"
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
	AppsStream    = bucketStream + AppsBucket // the stream of the bucket
	AllApps       = bucketKeys + AppsBucket + ".>"
	// RegistryRevision, RegistryApps and RegistryParams are keys in the metadata of ROOM_EVENTS: the last
	// known revision of the bucket, and the apps and documents that it had at that revision.
	RegistryRevision = "roombus.registry.revision"
	RegistryApps     = "roombus.registry.apps"
	RegistryParams   = "roombus.registry.params"
	// Restoring is a key in the metadata of ROOM_EVENTS while a backup is restored: the start of the restore.
	Restoring    = "roombus.restoring"
	bucketStream = "KV_"
	bucketKeys   = "$KV."
	paramKeys    = "param."

	Snapshots       = "ROOM_SNAPSHOTS"
	SnapshotsStream = "OBJ_" + Snapshots // the stream of the object store
	Snapshot        = "projection"       // the object

	AllSnapshotMetas = snapshotMetas + ">"
	snapshotMetas    = "$O." + Snapshots + ".M."
)

// BucketStream is the stream of a key-value bucket.
func BucketStream(bucket string) string { return bucketStream + bucket }

// AllKeys filters all keys of a bucket.
func AllKeys(bucket string) string { return bucketKeys + bucket + ".>" }

// AppKey is the subject of an app's registration in the bucket.
func AppKey(app string) string { return bucketKeys + AppsBucket + "." + app }

// ParamKey is the key of a document in the bucket ROOM_APPS. It is no app: the id of an app has no dot.
func ParamKey(name string) string { return paramKeys + name }

// ParamOf returns the name of the document with this key in the bucket. ok is false if it is the key of
// an app.
func ParamOf(key string) (name string, ok bool) { return strings.CutPrefix(key, paramKeys) }

// Room is the subject of a command or query about rooms.
func Room(endpoint string) string { return ServiceGroup + "." + endpoint }

// App is the subject of a request about apps.
func App(endpoint string) string { return AppGroup + "." + endpoint }

// OfApp is the subject of a request about one app that names it. An account can be given the right to such
// requests about its own app only.
func OfApp(endpoint, app string) string { return App(endpoint) + "." + app }

// AppNamed returns the app that the subject of a request names. ok is false if it names none.
func AppNamed(subject string) (app string, ok bool) {
	rest, ok := strings.CutPrefix(subject, AppGroup+".")
	if !ok {
		return "", false
	}
	_, app, ok = strings.Cut(rest, ".")
	return app, ok
}

// VerdictInbox is the prefix of the inboxes for replies of workers in accounts of their own: verdicts, and
// replies of the micro protocol. The account of the room service exports these inboxes and no others.
const VerdictInbox = "_INBOX_verdict"

// VerdictInboxOf is the prefix of these inboxes of one app. The account of the app imports the subjects under
// it. So it cannot reply for another app.
func VerdictInboxOf(app string) string { return VerdictInbox + "." + app }

// Param is the subject of a request about the documents of policies.
func Param(endpoint string) string { return ParamGroup + "." + endpoint }

// Deciding is the subject on which replicas of the service tell each other about commands that wait for slow
// apps.
const Deciding = "room.deciding"

// Handover is the subject on which a replica of the service receives commands from other replicas.
func Handover(replica string, e room.EventType) string {
	return "room.handover." + replica + "." + e.Command()
}

// AllPre are the subjects on which apps are asked.
const AllPre = "room.pre.>"

// Pre is the subject on which an app is asked.
func Pre(i room.Interface, app string) string { return PreType(i) + "." + app }

// PreRetry is the subject on which every worker of an app receives a pre-event that another worker has not
// answered yet.
func PreRetry(i room.Interface, app string) string { return Pre(i, app) + ".retry" }

// PresOf returns the subjects of the pre-events of an app, and those of its retried ones. "*" is any app.
func PresOf(app string) (pre, retry string) {
	pre = "room.pre.*." + app
	return pre, pre + ".retry"
}

// PreType is the subject of a pre-event without the app: its CloudEvents type.
func PreType(i room.Interface) string { return "room.pre." + i.Token() }

// AppQueue is the queue group of an app's workers.
func AppQueue(app string) string { return app }

// Durable is the name of an app's consumers of post-events and of replays.
func Durable(app string) string { return app }

// DurableDescription is the description of an app's consumer of post-events. It tells the consumer from
// consumers of others.
func DurableDescription(app string) string { return "post-events for the workers of app " + app }

// BehindKey is a key in the metadata of an app's consumer, for a type of event that was added to its
// filters later. The value is the sequence after which the consumer delivers events of that type.
func BehindKey(e room.EventType) string { return "roombus.behind." + string(e) }

// Turn is the subject on which an app's workers tell each other which events of a room are done.
func Turn(app string) string { return "room.turn." + app }

// GivenUpOf is the subject of the server's advisories that a message has reached the max deliveries of a
// consumer of the stream.
func GivenUpOf(stream string) string {
	return "$JS.EVENT.ADVISORY.CONSUMER.MAX_DELIVERIES." + stream + ".*"
}

// Post is the subject of a post-event.
func Post(e room.EventType, roomID string) string { return PostType(e) + "." + roomID }

// PostType is the subject of a post-event without the room: its CloudEvents type.
func PostType(e room.EventType) string { return "room.post." + string(e) }

// PostsOf filters the events of one room. It is also the filter of the commit's guard, which
// only protects against writers that use the identical string.
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

// DeadLike filters dead letters by app, type and room. An empty argument matches all.
func DeadLike(app string, e room.EventType, roomID string) string {
	return Dead(cmp.Or(app, "*"), cmp.Or(e, "*"), cmp.Or(roomID, "*"))
}

// Replay is the subject of a replayed dead letter.
func Replay(app string, e room.EventType, roomID string) string {
	return "room.replay." + app + "." + string(e) + "." + roomID
}

// ReplaysOf filters the replays of one app.
func ReplaysOf(app string) string { return "room.replay." + app + ".>" }

// DeadOf filters the dead letters of one app.
func DeadOf(app string) string { return "room.dead." + app + ".>" }

// AppOf returns the app in the subject of a dead letter or a replay.
func AppOf(subject string) string {
	tokens := strings.SplitN(subject, ".", 4)
	if len(tokens) < 4 {
		return ""
	}
	return tokens[2]
}

// SnapshotParts is the subject of the chunks of the object with that id in the snapshot store.
func SnapshotParts(id string) string { return "$O." + Snapshots + ".C." + id }

// SnapshotMeta is the subject of the object's metadata in the snapshot store.
func SnapshotMeta() string {
	return snapshotMetas + base64.URLEncoding.EncodeToString([]byte(Snapshot))
}

// ParsePost parses the subject of a post-event. The type of event may be unknown. ok is false if the
// subject has no room.
func ParsePost(subject string) (e room.EventType, roomID string, ok bool) {
	rest, ok := strings.CutPrefix(subject, "room.post.")
	kind, roomID, _ := strings.Cut(rest, ".")
	if !ok || !room.IsToken(roomID) {
		return "", "", false
	}
	return room.EventType(kind), roomID, true
}
