package compare

import "math"

// lookCount is how often findings are looked at.
const lookCount = 5

// looks returns the numbers of pairs at which the findings are looked at. Each look has the
// same part of Alpha, so that all of them together stay within it.
//
// Source: Bonferroni's inequality; Pocock, "Group sequential methods in the design and
// analysis of clinical trials", 1977, has the same shape with tighter bounds.
func looks() [lookCount]int { return [lookCount]int{8, 12, 18, 27, 40} }

// LookAlpha is the part of Alpha that a look has.
const LookAlpha = Alpha / lookCount

// FirstLook is how many pairs there are before the first look: the fewest with which
// anything can be decided at LookAlpha.
func FirstLook() int { return looks()[0] }

// NextLook returns at how many pairs the findings are looked at next, after a look at
// so many; ok is false when there is none left.
func NextLook(pairs int) (at int, ok bool) {
	for _, n := range looks() {
		if n > pairs {
			return n, true
		}
	}
	return 0, false
}

// Shows returns among how many metrics at most so many pairs can show, at a level, that
// any is worse: the smallest p-value that there is, 2⁻ⁿ, has to pass Holm's first step.
func Shows(pairs int, alpha float64) int { return int(alpha*math.Exp2(float64(pairs)) + 1e-9) }

// Decided reports whether no finding is Inconclusive.
func Decided(findings []Finding) bool {
	for _, f := range findings {
		if f.Verdict == Inconclusive {
			return false
		}
	}
	return true
}

// BaseFirst reports whether the base goes first in a pair, counted from 0: A B B A, so
// that a drift of the machine does not favour a side.
func BaseFirst(pair int) bool { return pair%2 == 0 }
