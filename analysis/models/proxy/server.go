package proxy

import "math"

// Cost is what an event-driven proxy needs of CPU.
type Cost struct {
	Idle       float64 // cores, at any load; Calibrate leaves it at 0, since Cold has what it would take for it
	PerRequest float64 // CPU seconds of a request and its answer together
	PerWakeUp  float64 // CPU seconds of going to sleep and being woken
	// Cold is what a request costs beyond PerRequest when it comes long after the one
	// before, in CPU seconds: by then the caches belong to others, and the processor has
	// gone to rest.
	Cold float64
}

// coolingTime is the distance of a request from the one before, in seconds, at which
// half of Cold is paid. Over 255 phases of six gateways, from low load to far beyond the
// edge, with whole quotas and cut ones and with bunched requests, the CPU scatters by 9 %
// around a fit with 6 to 15 ms, and none of these groups lies off it by more than 2 %. With
// Cold for each wake-up, by how long the proxy slept, they scatter by 12 %, and lie up to
// 14 % off.
const coolingTime = 0.010

// Request returns what a request costs at rps requests a second that come one by one, in
// CPU seconds.
func (c Cost) Request(rps float64) float64 { return c.PerRequest + c.Cold*cooled(rps) }

// cooled is the share of Cold that is paid for each of rps requests a second.
func cooled(rps float64) float64 { return 1 / (1 + rps*coolingTime) }

// Server is a proxy: what its work costs, and what it may use.
type Server struct {
	Cost
	Threads int     // event loops, ≥ 1
	Quota   float64 // cores; 0: none
	// WakeDelay is how long it takes, in seconds, from something being readable to
	// the thread running: what comes meanwhile needs no wake-up of its own.
	WakeDelay float64
	// Events is how many wake-ups a request makes while nothing else keeps the
	// proxy awake: 2, or less where requests come in bunches and answers at once. A
	// program whose timers and pollers are threads of their own has more.
	Events float64
}

// Steady returns the CPU used, in cores, and the wake-ups a second at rps requests
// a second, as they would be without a quota. With e events a second on each of n
// threads, of which a wake-up follows from those that find it asleep,
//
//	w = e·(1 − a·rps/n − w·(b + d))  so  w = e·(1 − a·rps/n) ÷ (1 + e·(b + d))
//	cores = idle + a·rps + n·w·b
//
// where a is the cost of a request at that rate, b that of a wake-up, and d the wake
// delay, in which the thread is neither asleep nor working.
// Beyond n cores of work there is no sleep, and the CPU is what n threads can use.
//
// Source: the renewal argument for a server with setup time, Takagi, "Queueing
// analysis" vol. 1, 1991, ch. 2, with the sleeping time memoryless.
func (s Server) Steady(rps float64) (cores, wakeUps float64) {
	n := float64(max(s.Threads, 1))
	work := s.Request(rps) * rps / n
	if work >= 1 {
		return s.Idle + n, 0
	}
	events := s.Events * rps / n
	if events <= 0 {
		return s.Idle, 0
	}
	perThread := events * (1 - work) / (1 + events*(s.PerWakeUp+s.WakeDelay))
	return s.Idle + n*(work+perThread*s.PerWakeUp), n * perThread
}

// most bounds the rates that are looked at, per second.
const most = 1e7

// RateAt returns the rate at which the CPU reaches cores, as it would be without a
// quota; 0 when idling needs as much, +Inf when no rate does.
func (s Server) RateAt(cores float64) float64 {
	if s.Idle >= cores {
		return 0
	}
	return RateUsing(cores, func(rps float64) float64 {
		used, _ := s.Steady(rps)
		return used
	})
}

// RateUsing returns the requests a second at which use, in cores, which rises with them,
// reaches cores; +Inf when it does at no rate.
func RateUsing(cores float64, use func(rps float64) float64) float64 {
	low, high := 0.0, 1.0
	for ; use(high) < cores; low, high = high, high*2 {
		if high > most {
			return math.Inf(1)
		}
	}
	for range 60 {
		if middle := (low + high) / 2; use(middle) < cores {
			low = middle
		} else {
			high = middle
		}
	}
	return (low + high) / 2
}

// Ceiling returns what the proxy can use at most, in cores: its quota or its
// threads, whichever is less.
func (s Server) Ceiling() float64 {
	n := float64(max(s.Threads, 1))
	if s.Quota > 0 {
		return math.Min(s.Quota, n)
	}
	return n
}

// Saturation returns how many requests a second are answered at most: when there
// is always work, the proxy does not sleep any more, and pays for requests alone.
func (s Server) Saturation() float64 {
	return RateUsing(math.Max(0, s.Ceiling()-s.Idle), func(rps float64) float64 { return rps * s.Request(rps) })
}
