package roomsvc

import (
	"context"
	"math"
	"slices"
	"time"

	"github.com/roombus/roombus/room"
)

// round is one asking: of several apps in parallel, or of one in a chain. Shadows are asked
// beside the app that comes after them, as they change nothing for it.
type round struct {
	iface room.Interface
	hooks []*hook // in order
	// again: the apps have been asked, and are asked once more if the draft has changed since.
	again bool
	share time.Duration // how long the round may take, of a command with the whole budget
}

// rounds are the apps that are asked before an event, in order: all apps of a phase at once, but
// those that modify one after the other, each with what the last one made. Before a creation the
// apps that want to check what the others made of it come last.
func rounds(e room.EventType, budget time.Duration, hooks func(room.Interface) []*hook) []round {
	var all []round
	for _, iface := range e.Phases() {
		concerned := hooks(iface)
		for len(concerned) > 0 {
			size := len(concerned)
			if iface.Content() == room.ContentModify {
				size = 1 + slices.IndexFunc(concerned, func(k *hook) bool { return !k.manifest.Shadow })
				if size == 0 {
					size = len(concerned) // shadows only
				}
			}
			all = append(all, round{iface: iface, hooks: concerned[:size]})
			concerned = concerned[size:]
		}
	}
	if last := reinvoked(e, hooks); len(last.hooks) > 0 {
		all = append(all, last)
	}
	level := level(all, forRounds(budget))
	for n := range all {
		all[n].share = min(all[n].longest(), level)
	}
	return all
}

// mostSlack is how much of the budget is left aside when it is shared, or a quarter if that is less: a
// command that has all of it begins to ask a moment after it came.
const mostSlack = 250 * time.Millisecond

// forRounds is how much of a whole budget is for the rounds.
func forRounds(budget time.Duration) time.Duration {
	most := forApps(budget)
	return most - min(mostSlack, most/4)
}

// level is the most that one of the rounds may take so that all together take no more than that much
// time: rounds that need less leave the rest to the others.
func level(rounds []round, most time.Duration) time.Duration {
	longest := make([]time.Duration, 0, len(rounds))
	for _, r := range rounds {
		longest = append(longest, r.longest())
	}
	slices.Sort(longest)
	for n, each := range longest {
		share := most / time.Duration(len(longest)-n)
		if each > share {
			return share
		}
		most -= each
	}
	return time.Duration(math.MaxInt64)
}

// reinvoked is the round of the apps that are asked again about the final draft of a creation.
func reinvoked(e room.EventType, hooks func(room.Interface) []*hook) round {
	r := round{iface: room.PreRoomCreatePrevent, again: true}
	if r.iface.Event() != e {
		return r
	}
	for _, k := range hooks(r.iface) {
		if k.manifest.ReinvocationPolicy == room.ReinvokeIfNeeded {
			r.hooks = append(r.hooks, k)
		}
	}
	return r
}

// longest is how long the round takes if every app uses its time up.
func (r round) longest() time.Duration {
	var longest time.Duration
	for _, k := range r.hooks {
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

// fair is the time that each app of the round has to answer in: its timeout, or the round's share of
// the service's whole budget if the timeouts of all rounds do not fit. It does not depend on the
// command: no client can have an app asked with less time than others have.
func (r round) fair(app *room.Manifest) time.Duration {
	if app.Shadow {
		return app.Timeout() // nothing waits for it
	}
	return min(app.Timeout(), r.share)
}

// time is how long an app is waited for: its fair time, or what the command has left for apps.
func (r round) time(ctx context.Context, app *room.Manifest) time.Duration {
	deadline, ok := ctx.Deadline()
	if !ok {
		return r.fair(app)
	}
	return min(r.fair(app), forApps(time.Until(deadline)))
}

// timeNeeded is the time that a command must have left for those apps to have their fair time.
func timeNeeded(rounds []round, of func(*hook) bool) time.Duration {
	var needed time.Duration
	for _, r := range rounds {
		var longest time.Duration
		for _, k := range r.hooks {
			if k.manifest.IsEnabled() && !k.manifest.Shadow && of(k) {
				longest = max(longest, r.fair(&k.manifest))
			}
		}
		needed += longest
	}
	return needed
}
