package roomsvc

import (
	"context"
	"slices"
	"time"

	"github.com/roombus/roombus/room"
)

// round is one asking: of several apps in parallel, or of one in a chain. Shadows are asked
// beside the app that comes after them, as they change nothing for it.
type round struct {
	phase    room.Interface
	contacts []*contact // in order
	// ahead is how long this round and those after it take if every app uses its time up, whole
	// how long all rounds of the event do.
	ahead, whole time.Duration
}

// rounds is who is asked before an event, and in which order: all apps of a phase at once, but
// those that modify one after the other, each with what the last one made.
func rounds(e room.EventType, contacts func(room.Interface) []*contact) []round {
	var all []round
	for _, phase := range e.Phases() {
		concerned := contacts(phase)
		for len(concerned) > 0 {
			size := len(concerned)
			if phase.Content() == room.ContentModify {
				size = 1 + slices.IndexFunc(concerned, func(k *contact) bool { return !k.manifest.Shadow })
				if size == 0 {
					size = len(concerned) // shadows only
				}
			}
			all = append(all, round{phase: phase, contacts: concerned[:size]})
			concerned = concerned[size:]
		}
	}
	var ahead time.Duration
	for n := range slices.Backward(all) {
		ahead += all[n].longest()
		all[n].ahead = ahead
	}
	for n := range all {
		all[n].whole = ahead
	}
	return all
}

// longest is how long the round takes if every app uses its time up.
func (r round) longest() time.Duration {
	var longest time.Duration
	for _, k := range r.contacts {
		if k.manifest.IsEnabled() && !k.manifest.Shadow {
			longest = max(longest, k.manifest.Timeout())
		}
	}
	return longest
}

// minReserve is what is kept of a command's time for the commit, and for what lies between
// the rounds, unless a tenth is more. Of a command in a hurry it is half.
const minReserve = 50 * time.Millisecond

// forApps is how much of a command's time is for apps.
func forApps(left time.Duration) time.Duration {
	return left - max(left/10, min(minReserve, left/2))
}

// time is how long an app is waited for: its own timeout, or less if the rounds still to
// come could not have theirs within the command's budget.
func (r round) time(ctx context.Context, app *room.Manifest) time.Duration {
	deadline, ok := ctx.Deadline()
	if !ok {
		return app.Timeout()
	}
	left := forApps(time.Until(deadline))
	if r.ahead <= left {
		return min(app.Timeout(), left)
	}
	return share(min(app.Timeout(), r.ahead), left, r.ahead)
}

// share is an app's part of the time that is left for all.
func share(timeout, left, all time.Duration) time.Duration {
	return time.Duration(float64(timeout) * float64(left) / float64(all))
}

// fair is the least time after which an app that is late has itself to blame, not the command:
// half of what it would have in one with the whole budget.
func (r round) fair(budget time.Duration, app *room.Manifest) time.Duration {
	most := forApps(budget)
	if r.whole > most {
		return share(min(app.Timeout(), r.whole), most, r.whole) / 2
	}
	return min(app.Timeout(), most) / 2
}
