//go:build linux && race

package loadgen_test

const raceEnabled = true
