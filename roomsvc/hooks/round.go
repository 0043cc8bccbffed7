package hooks

import (
	"context"
	"math"
	"slices"
	"time"

	"github.com/roombus/roombus/room"
)

// Round is a set of hooks that are asked in parallel. In a chain of apps each round has one app, and
// the shadows in front of it, which change nothing for it.
type Round struct {
	Interface room.Interface
	// Again: the apps were asked before, and are asked again if the draft has changed since.
	Again bool

	hooks []*hook       // in order
	asks  bool          // one of them is an app with workers
	share time.Duration // maximum time of the round for a command with the whole budget
}

// rounds returns the rounds of an event, in order. The apps of an interface are asked in parallel,
// except for the modify interface: its apps are asked one after the other, each with the draft of
// the app before. The last round before a creation asks the apps again that want to check the final
// draft.
func rounds(e room.EventType, budget time.Duration, hooks func(room.Interface) []*hook) []Round {
	var all []Round
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
			all = append(all, Round{Interface: iface, hooks: concerned[:size]})
			concerned = concerned[size:]
		}
	}
	if last := reinvoked(e, hooks); len(last.hooks) > 0 {
		all = append(all, last)
	}
	level := level(all, forRounds(budget))
	for n := range all {
		all[n].share = min(all[n].longest(), level)
		all[n].asks = slices.ContainsFunc(all[n].hooks, func(k *hook) bool { return !k.manifest.IsPolicy() })
	}
	return all
}

// AsksWorkers reports whether the round has an app with workers. Policies alone take so little time that
// nothing need be prepared for a wait.
func (r *Round) AsksWorkers() bool { return r.asks }

// mostSlack bounds the part of the budget that the rounds do not share: a quarter, or this if it is
// less. A command with the whole budget asks its first app a moment after it arrived.
const mostSlack = 250 * time.Millisecond

// forRounds returns the part of the whole budget that the rounds share.
func forRounds(budget time.Duration) time.Duration {
	most := ForApps(budget)
	return most - min(mostSlack, most/4)
}

// level returns the maximum time of a round so that all rounds together take no more than most.
// Rounds that need less leave the rest to the others.
func level(rounds []Round, most time.Duration) time.Duration {
	longest := make([]time.Duration, 0, len(rounds))
	for n := range rounds {
		longest = append(longest, rounds[n].longest())
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

// reinvoked returns the round of the apps that are asked again about the final draft of a creation.
func reinvoked(e room.EventType, hooks func(room.Interface) []*hook) Round {
	r := Round{Interface: room.PreRoomCreatePrevent, Again: true}
	if r.Interface.Event() != e {
		return r
	}
	for _, k := range hooks(r.Interface) {
		if k.manifest.ReinvocationPolicy == room.ReinvokeIfNeeded {
			r.hooks = append(r.hooks, k)
		}
	}
	return r
}

// AskWorkers reports whether one of the rounds has an app with workers.
func AskWorkers(rounds []Round) bool {
	for n := range rounds {
		if rounds[n].AsksWorkers() {
			return true
		}
	}
	return false
}

// longest returns the time of the round if every app uses its whole timeout.
func (r *Round) longest() time.Duration {
	var longest time.Duration
	for _, k := range r.hooks {
		if k.manifest.IsEnabled() && !k.manifest.Shadow {
			longest = max(longest, k.manifest.Timeout())
		}
	}
	return longest
}

// minReserve is the minimum part of the time of a command that is reserved for the commit and for
// the work between rounds. The reserve is a tenth of the time if that is more, and at most half of
// it.
const minReserve = 50 * time.Millisecond

// ForApps returns the part of the time of a command that is for apps.
func ForApps(left time.Duration) time.Duration {
	return left - max(left/10, min(minReserve, left/2))
}

// fair returns the time that each app of the round has to answer: its timeout, or the round's share
// of the whole budget if that is less. It does not depend on the command, so that no client can
// give an app less time than other clients do.
func (r *Round) fair(app *room.Manifest) time.Duration {
	if app.Shadow {
		return app.Timeout() // the command does not wait for it
	}
	return min(app.Timeout(), r.share)
}

// time returns how long to wait for an app: its fair time, or the time that the command has left
// for apps.
func (r *Round) time(ctx context.Context, app *room.Manifest) time.Duration {
	deadline, ok := ctx.Deadline()
	if !ok {
		return r.fair(app)
	}
	return min(r.fair(app), ForApps(time.Until(deadline)))
}

// Apps names the apps that the round waits for: those whose verdict counts, without policies.
func (r *Round) Apps() []string {
	var ids []string
	for _, k := range r.hooks {
		if k.manifest.IsEnabled() && !k.manifest.Shadow && !k.manifest.IsPolicy() {
			ids = append(ids, k.manifest.ID)
		}
	}
	return ids
}

// FairTime returns the time that a command must have left so that the apps that can answer now have
// their fair time.
func (h *Hooks) FairTime(e room.EventType) time.Duration {
	return fairTime(h.Rounds(e), func(k *hook) bool { return k.breaker.patient() && k.breaker.state() != room.BreakerOpen })
}

// FairTimeOfHanging returns the time that a command must have left so that the apps that did not
// answer the last commands have their fair time.
func (h *Hooks) FairTimeOfHanging(e room.EventType) time.Duration {
	return fairTime(h.Rounds(e), func(k *hook) bool { return k.breaker.run.hangs() })
}

func fairTime(rounds []Round, of func(*hook) bool) time.Duration {
	var needed time.Duration
	for n := range rounds {
		r := &rounds[n]
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
