package main

import (
	"bufio"
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
	fmt.Fprintln(w, r.row.Name)
	for _, client := range append([]string{ours}, r.row.clients...) {
		samples := r.samples[client]
		if len(samples) == 0 {
			continue
		}
		fmt.Fprintf(w, "  %-9s", client)
		for _, s := range samples {
			fmt.Fprintf(w, "  %.3f CPU s/10⁶ %.0f/s %.0f MB", s.perMillion(), float64(s.answered)/s.took.Seconds(), float64(s.memory)/1e6)
			if s.own != nil {
				fmt.Fprintf(w, " lag p99 %s, wake-ups %d", s.own.LagP99, s.own.Facts.Generator.WakeUps)
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
%.3g s each, against a new nghttpd of one thread in a process of its own that
answers with a file of 1 KiB where nothing else is said. CPU is user and system time
of the client's whole process, start included, by getrusage; figures are medians
over the rounds. Client and server share the machine's processors, so rates are
what this machine reaches, not what a client can do.

Machine: %s.

Clients: %s.

`, o.rounds, o.length.Seconds(), machine(), versions(found))
	b.WriteString("| work | client | CPU s per 10⁶ requests (spread) | ours ÷ its | target | met | requests/s | peak memory |\n|---|---|---|---|---|---|---|---|\n")
	for _, r := range all {
		writeRow(&b, r)
	}
	b.WriteString("\n## Sending on time, at 20 000/s\n\n| work | send lag p50 | p99 | target | met | requests in one write | wake-ups/s |\n|---|---|---|---|---|---|---|\n")
	for _, r := range all {
		if r.row.Rate > 0 {
			writeLag(&b, r)
		}
	}
	writeConnections(&b, all)
	return []byte(b.String())
}

func cpu(samples []sample) float64 { return median(samples, sample.perMillion) }

func writeRow(b *strings.Builder, r results) {
	mine := r.samples[ours]
	for _, client := range append([]string{ours}, r.row.clients...) {
		samples := r.samples[client]
		name := r.row.Name
		if client != ours {
			name = ""
		}
		if len(samples) == 0 {
			why := "not here"
			if err := r.failed[client]; err != nil {
				why = strings.ReplaceAll(strings.SplitN(err.Error(), "\n", 2)[0], "|", "/")
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
			if bound := r.row.bounds[client]; bound > 0 {
				target, met = fmt.Sprintf("≤ %.2g", bound), yes(of <= bound)
			}
		}
		fmt.Fprintf(b, "| %s | %s | %.3g (%.3g – %.3g) | %s | %s | %s | %.0f | %.1f MB |\n", name, client, cpu(samples), low, high, ratio, target, met,
			median(samples, func(s sample) float64 { return float64(s.answered) / s.took.Seconds() }),
			median(samples, func(s sample) float64 { return float64(s.memory) / 1e6 }))
	}
}

func yes(is bool) string {
	if is {
		return "yes"
	}
	return "no"
}

func writeLag(b *strings.Builder, r results) {
	mine := r.samples[ours]
	p99 := median(mine, func(s sample) float64 { return s.own.LagP99.Seconds() * 1e3 })
	p50 := median(mine, func(s sample) float64 { return s.own.LagP50.Seconds() * 1e3 })
	target := 1.0
	if strings.Contains(r.row.Name, "precise") {
		target = 0.1
	}
	fmt.Fprintf(b, "| %s | %.3g ms | %.3g ms | ≤ %.3g ms | %s | %.3g | %.0f |\n", r.row.Name, p50, p99, target, yes(p99 <= target),
		median(mine, func(s sample) float64 {
			return float64(s.own.Facts.Counts.Sent) / float64(max(1, s.own.Facts.Generator.Writes))
		}),
		median(mine, func(s sample) float64 {
			return float64(s.own.Facts.Generator.WakeUps) / s.own.Facts.Spec.Duration.Seconds()
		}))
}

// writeConnections compares many connections with few.
func writeConnections(b *strings.Builder, all []results) {
	byName := map[int]results{}
	for _, r := range all {
		if r.row.Streams == 1 && !r.row.TLS {
			byName[r.row.Connections] = r
		}
	}
	few, many := byName[fewConnections], byName[manyConnections]
	if len(few.samples[ours]) == 0 || len(many.samples[ours]) == 0 {
		return
	}
	memory := func(s sample) float64 { return float64(s.memory) }
	each := (median(many.samples[ours], memory) - median(few.samples[ours], memory)) / (manyConnections - fewConnections) / 1024
	ratio := cpu(many.samples[ours]) / cpu(few.samples[ours])
	fmt.Fprintf(b, "\n## %d connections\n\n| | measured | target | met |\n|---|---|---|---|\n", manyConnections)
	fmt.Fprintf(b, "| memory for each connection beyond %d | %.1f KiB | ≤ 24 KiB | %s |\n", fewConnections, each, yes(each <= 24))
	fmt.Fprintf(b, "| CPU per request ÷ that at %d connections | %.2f | ≤ 1.5 | %s |\n", fewConnections, ratio, yes(ratio <= 1.5))
	fmt.Fprintf(b, "| time to open them | %.2f s | | |\n", median(many.samples[ours], func(s sample) float64 { return s.own.Opening.Seconds() }))
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
		flag := "--version"
		if name == fortio || name == k6 {
			flag = "version"
		}
		out, err := exec.Command(path, flag).CombinedOutput()
		line, _, _ := strings.Cut(strings.TrimSpace(string(out)), "\n")
		if err != nil || line == "" {
			line = "version not told"
		}
		line = strings.TrimSpace(strings.TrimPrefix(line, name))
		said = append(said, name+" "+line)
	}
	return strings.Join(said, ", ")
}
