// Package subjects has the names of all subjects, streams, buckets, durables and queue groups of
// roombus. Other packages contain no such names.
//
//	room.svc.<command>             requests of clients        service group, queue group "rooms"
//	room.app.<command>             requests of apps           service group, queue group "rooms"
//	room.param.<command>           requests about documents   service group, queue group "rooms"
//	room.pre.<event>.<app>         pre-events                 queue group <app>
//	room.post.<event>.<room>       post-events                stream ROOM_EVENTS, durable <app>
//	room.pre.<event>.<app>.retry   pre-events, second attempt every worker of <app>
//	room.rejected.<command>.<room> rejected commands          stream ROOM_REJECTIONS
//	room.dead.<app>.<event>.<room> dead letters               stream ROOM_DEAD_LETTERS
//	room.replay.<app>.<event>.<room> replayed dead letters    stream ROOM_REPLAYS, durable <app>
//	room.turn.<app>                between an app's workers
//	room.handover.<replica>.<command> between replicas of the service
//	room.deciding                  between replicas of the service
//
// An id is one token of a subject; see [room.IsToken].
package subjects
