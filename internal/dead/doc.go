// Package dead reads, replays and removes dead letters, the post-events that apps could not process.
//
// A replay stores the event in ROOM_REPLAYS for its app, and then removes the letter from
// ROOM_DEAD_LETTERS. If it fails between the two steps, the letter stays, and may be replayed again.
package dead
