// Package subjects holds every name that roombus gives to something in NATS: subjects,
// streams, buckets, durables and queue groups. No other package spells one out.
//
//	room.svc.<command>             requests of clients        service group, queue group "rooms"
//	room.app.<command>             requests of apps           service group, queue group "rooms"
//	room.pre.<event>.<app>         pre-events                 queue group <app>
//	room.post.<event>.<room>       post-events                stream ROOM_EVENTS, durable <app>
//	room.rejected.<command>.<room> what did not happen        stream ROOM_REJECTIONS
//	room.dead.<app>.<event>.<room> dead letters               stream ROOM_DEAD_LETTERS
//	room.replay.<app>.<event>.<room> what an app gets again   stream ROOM_REPLAYS, durable <app>
//	room.turn.<app>                between an app's workers
//
// Ids stand in subjects as one token each; [room.IsToken] says what that is.
package subjects
