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
	// again: the apps have been asked, and are asked once more if the draft has changed since.
	again bool
	// ahead is how long this round and those after it take if every app uses its time up, whole
	// how long all rounds of the event do.
	ahead, whole time.Duration
}

// rounds are the apps that are asked before an event, in order: all apps of a phase at once, but
// those that modify one after the other, each with what the last one made. Before a creation the
// apps that want to check what the others made of it come last.
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
	if last := reinvoked(e, contacts); len(last.contacts) > 0 {
		all = append(all, last)
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

// reinvoked is the round of the apps that are asked again about the final draft of a creation.
func reinvoked(e room.EventType, contacts func(room.Interface) []*contact) round {
	r := round{phase: room.PreRoomCreatePrevent, again: true}
	if r.phase.Event() != e {
		return r
	}
	for _, k := range contacts(r.phase) {
		if k.manifest.ReinvocationPolicy == room.ReinvokeIfNeeded {
			r.contacts = append(r.contacts, k)
		}
	}
	return r
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

// time is how long an app is waited for: its own timeout, or less if the rounds still to come
// could not have theirs in what is left of the command's time. A command that is short of time
// gives each app its fair time as long as there is some: without it the command cannot go on.
func (r round) time(ctx context.Context, budget time.Duration, app *room.Manifest) time.Duration {
	deadline, ok := ctx.Deadline()
	if !ok {
		return app.Timeout()
	}
	left := forApps(time.Until(deadline))
	if r.ahead <= left {
		return min(app.Timeout(), left)
	}
	return max(share(min(app.Timeout(), r.ahead), left, r.ahead), min(r.fair(budget, app), left))
}

// share is an app's part of the time that is left for all.
func share(timeout, left, all time.Duration) time.Duration {
	return time.Duration(float64(timeout) * float64(left) / float64(all))
}

// fair is the time that an app must have had to answer in, before a command may go on without its
// answer: its timeout, or, if the timeouts of all rounds do not fit, its share of the service's
// whole budget. A quarter of the budget is left aside: a command that has all of it begins to ask
// a moment after it came.
func (r round) fair(budget time.Duration, app *room.Manifest) time.Duration {
	if most := forApps(budget) * 3 / 4; r.whole > most {
		return share(min(app.Timeout(), r.whole), most, r.whole)
	}
	return app.Timeout()
}

// timeNeeded is the time that a command must have left for every app to have its fair time.
func timeNeeded(rounds []round, budget time.Duration) time.Duration {
	if len(rounds) == 0 {
		return 0
	}
	return min(rounds[0].whole, forApps(budget)*3/4)
}
