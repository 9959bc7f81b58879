package main

import (
	"bufio"
	"debug/buildinfo"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"strings"

	"golang.org/x/sys/unix"
)

// printRow shows how a row came out, while the rest is measured.
func printRow(w io.Writer, r results) {
	fmt.Fprintln(w, r.Row.Name)
	for _, client := range append([]string{ours}, r.Row.Clients...) {
		samples := r.Samples[client]
		if len(samples) == 0 {
			continue
		}
		fmt.Fprintf(w, "  %-9s", client)
		for _, s := range samples {
			fmt.Fprintf(w, "  %.3f CPU s/10⁶ %.0f/s %.0f MB", s.perMillion(), float64(s.Answered)/s.Took.Seconds(), float64(s.Memory)/1e6)
			if s.Own != nil {
				fmt.Fprintf(w, " lag p99 %s, wake-ups %d", s.Own.LagP99, s.Own.Facts.Generator.WakeUps)
			}
		}
		fmt.Fprintln(w)
	}
}

// page writes the table.
func page(all []results, found map[string]string, o options) []byte {
	var b strings.Builder
	fmt.Fprintf(&b, `# What a request costs

Written by `+"`make bench-peers`"+`. Every client was given the same work by turns, %d rounds of
%.3g s each (%.3g s at a fixed rate, and with 100 and 10 000 connections), against a new nghttpd of
one thread in a process of its own that answers with a file of 1 KiB where nothing else is said. A replay
is a server that answers every request with the same bytes, unread. CPU is user and
system time of the client's whole process, start included, by getrusage. Figures are
%s; the spread is from the least to the most.
Client and server share the machine's processors, so rates are what this machine
reaches, not what a client can do. A ratio within a few hundredths of its target can
fall on either side of it the next time.

Machine: %s.

Clients: %s. Server: nghttpd %s.

`, o.rounds, o.length.Seconds(), longer*o.length.Seconds(), middle(o.rounds), machine(), versions(found), serverVersion())
	b.WriteString("| work | client | CPU s per 10⁶ requests (spread) | ours ÷ its | target | met | requests/s | peak memory |\n|---|---|---|---|---|---|---|---|\n")
	for _, r := range all {
		writeRow(&b, r)
	}
	b.WriteString("\n## Sending on time, at 20 000/s\n\n| work | send lag p50 | p99 | target | met | requests in one write | wake-ups/s |\n|---|---|---|---|---|---|---|\n")
	for _, r := range all {
		if r.Row.Rate > 0 && r.Row.Streams > 1 { // the others are about what a connection costs
			writeLag(&b, r)
		}
	}
	writeReal(&b, all)
	writeThreads(&b, all)
	writeConnections(&b, all)
	return []byte(b.String())
}

func cpu(samples []sample) float64 { return median(samples, sample.perMillion) }

func writeRow(b *strings.Builder, r results) {
	mine := r.Samples[ours]
	for _, client := range append([]string{ours}, r.Row.Clients...) {
		samples := r.Samples[client]
		name := r.Row.Name
		if client != ours {
			name = ""
		}
		if len(samples) == 0 {
			why := "not here"
			if failure := r.Failed[client]; failure != "" {
				why = strings.ReplaceAll(strings.SplitN(failure, "\n", 2)[0], "|", "/")
			}
			fmt.Fprintf(b, "| %s | %s | – (%s) | | | | | |\n", name, client, why)
			continue
		}
		low, high := samples[0].perMillion(), samples[0].perMillion()
		for _, s := range samples {
			low, high = min(low, s.perMillion()), max(high, s.perMillion())
		}
		ratio, target, met := "", "", ""
		if client != ours {
			of := cpu(mine) / cpu(samples)
			ratio = fmt.Sprintf("%.2f", of)
			if bound := r.Row.Bounds[client]; bound > 0 {
				target, met = fmt.Sprintf("≤ %.2g", bound), yes(of <= bound)
			}
		}
		fmt.Fprintf(b, "| %s | %s | %.3g (%.3g – %.3g) | %s | %s | %s | %.0f | %.1f MB |\n", name, client, cpu(samples), low, high, ratio, target, met,
			median(samples, func(s sample) float64 { return float64(s.Answered) / s.Took.Seconds() }),
			median(samples, func(s sample) float64 { return float64(s.Memory) / 1e6 }))
	}
}

func yes(is bool) string {
	if is {
		return "yes"
	}
	return "no"
}

func writeLag(b *strings.Builder, r results) {
	mine := r.Samples[ours]
	p99 := median(mine, func(s sample) float64 { return s.Own.LagP99.Seconds() * 1e3 })
	p50 := median(mine, func(s sample) float64 { return s.Own.LagP50.Seconds() * 1e3 })
	target := 1.0
	if strings.Contains(r.Row.Name, "precise") {
		target = 0.1
	}
	fmt.Fprintf(b, "| %s | %.3g ms | %.3g ms | ≤ %.3g ms | %s | %.3g | %.0f |\n", r.Row.Name, p50, p99, target, yes(p99 <= target),
		median(mine, func(s sample) float64 {
			return float64(s.Own.Facts.Counts.Sent) / float64(max(1, s.Own.Facts.Generator.Writes))
		}),
		median(mine, func(s sample) float64 {
			return float64(s.Own.Facts.Generator.WakeUps) / s.Own.Facts.Spec.Duration.Seconds()
		}))
}

// writeReal compares realistic requests with plain ones that bring as many bytes.
func writeReal(b *strings.Builder, all []results) {
	var bare, real results
	for _, r := range all {
		switch {
		case r.Row.Check != "":
			real = r
		case len(r.Row.Paths) == 1 && strings.HasPrefix(r.Row.Paths[0], "/"+largeFile):
			bare = r
		}
	}
	if len(bare.Samples[ours]) == 0 || len(real.Samples[ours]) == 0 {
		return
	}
	ratio := cpu(real.Samples[ours]) / cpu(bare.Samples[ours])
	fmt.Fprintf(b, "\nRealistic requests (a bearer token of 1 KiB, twelve headers, a mix of ten, a check of status\nand body) cost %.2f × what plain ones with the same bytes cost; the target is ≤ 1.5: %s.\n", ratio, yes(ratio <= 1.5))
}

// writeThreads compares two sending threads with one.
func writeThreads(b *strings.Builder, all []results) {
	var one, two results
	for _, r := range all {
		switch r.Row.Workers {
		case 1:
			one = r
		case 2:
			two = r
		}
	}
	if len(one.Samples[ours]) == 0 || len(two.Samples[ours]) == 0 {
		return
	}
	rate := func(s sample) float64 { return float64(s.Answered) / s.Took.Seconds() }
	fmt.Fprintf(b, "\n## Two sending threads\n\n| | one | two | ratio |\n|---|---|---|---|\n")
	a, c := median(one.Samples[ours], rate), median(two.Samples[ours], rate)
	ratio := c / a
	fmt.Fprintf(b, "| requests/s | %.0f | %.0f | %.2f |\n", a, c, ratio)
	a, c = cpu(one.Samples[ours]), cpu(two.Samples[ours])
	fmt.Fprintf(b, "| CPU s per 10⁶ requests | %.3g | %.3g | %.2f |\n", a, c, c/a)
	fmt.Fprintf(b, "\nThe target is 1.7 × the requests/s of one thread against a server that is not the limit: %s.\nThat server is a replay of answers of %d KiB of header fields in Huffman code, which cost much to read and\nlittle to send, so that on %d processors it leaves most of them to the client.\n",
		yes(ratio >= 1.7), replayFields*replayValue>>10, runtime.NumCPU())
}

// writeConnections compares many connections with few.
func writeConnections(b *strings.Builder, all []results) {
	closed, paced := map[int]results{}, map[int]results{} // by connections
	for _, r := range all {
		switch {
		case r.Row.Streams != 1 || r.Row.TLS || len(r.Samples[ours]) == 0:
		case r.Row.Rate > 0:
			paced[r.Row.Connections] = r
		default:
			closed[r.Row.Connections] = r
		}
	}
	for _, connections := range []int{fewConnections, manyConnections} {
		if len(closed[connections].Samples) == 0 || len(paced[connections].Samples) == 0 {
			return
		}
	}
	memory := func(s sample) float64 { return float64(s.Memory) }
	each := (median(closed[manyConnections].Samples[ours], memory) - median(closed[fewConnections].Samples[ours], memory)) / (manyConnections - fewConnections) / 1024
	// Of the phase alone: opening ten thousand connections is no part of a request.
	sending := func(s sample) float64 {
		return s.Own.Facts.Generator.CPUSeconds / float64(s.Own.Facts.Counts.Answered)
	}
	ratio := func(of map[int]results) float64 {
		return median(of[manyConnections].Samples[ours], sending) / median(of[fewConnections].Samples[ours], sending)
	}
	fmt.Fprintf(b, "\n## %d connections\n\n| | measured | target | met |\n|---|---|---|---|\n", manyConnections)
	fmt.Fprintf(b, "| memory for each connection beyond %d | %.1f KiB | ≤ 24 KiB | %s |\n", fewConnections, each, yes(each <= 24))
	fmt.Fprintf(b, "| CPU per request while sending ÷ that at %d connections, at the same rate | %.2f | ≤ 1.5 | %s |\n", fewConnections, ratio(paced), yes(ratio(paced) <= 1.5))
	fmt.Fprintf(b, "| the same in a closed loop, with as many requests in flight as connections | %.2f | ≤ 1.5 | %s |\n", ratio(closed), yes(ratio(closed) <= 1.5))
	fmt.Fprintf(b, "| time to open them | %.2f s | | |\n", median(closed[manyConnections].Samples[ours], func(s sample) float64 { return s.Own.Opening.Seconds() }))
}

// machine names the processor, how many there are, and the kernel.
func machine() string {
	model := runtime.GOARCH
	if file, err := os.Open("/proc/cpuinfo"); err == nil {
		defer file.Close()
		for lines := bufio.NewScanner(file); lines.Scan(); {
			if name, value, ok := strings.Cut(lines.Text(), ":"); ok && strings.TrimSpace(name) == "model name" {
				model = strings.TrimSpace(value)
				break
			}
		}
	}
	release := ""
	var name unix.Utsname
	if err := unix.Uname(&name); err == nil {
		release = unix.ByteSliceToString(name.Release[:])
	}
	return fmt.Sprintf("%s, %d processors, Linux %s, %s", model, runtime.NumCPU(), release, runtime.Version())
}

// versions says which clients there are, in their own words.
func versions(found map[string]string) string {
	var said []string
	for _, name := range []string{h2load, oha, fortio, vegeta, k6} {
		path, here := found[name]
		if !here {
			said = append(said, name+" (not here)")
			continue
		}
		said = append(said, name+" "+version(name, path))
	}
	return strings.Join(said, ", ")
}

// version returns that of a program: what a Go build has in it, else what the
// program says.
func version(name, path string) string {
	if info, err := buildinfo.ReadFile(path); err == nil {
		return fmt.Sprintf("%s (%s)", info.Main.Version, info.GoVersion)
	}
	out, err := exec.Command(path, "--version").CombinedOutput()
	line, _, _ := strings.Cut(strings.TrimSpace(string(out)), "\n")
	line = strings.TrimSpace(strings.TrimPrefix(line, name))
	if err != nil || line == "" {
		return "(version not told)"
	}
	return line
}

func serverVersion() string {
	path, err := exec.LookPath(nghttpd)
	if err != nil {
		return "(version not told)"
	}
	return version(nghttpd, path)
}

// middle says what a figure is of that many rounds.
func middle(rounds int) string {
	switch rounds {
	case 1:
		return "of the one round"
	case 2:
		return "the means of both rounds"
	default:
		return "medians over the rounds"
	}
}
