package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
)

// invocation is how a client is called, and how its answers are counted.
type invocation struct {
	argv     []string
	stdin    []byte
	toErrors bool // it prints its results on standard error
	answered func(output []byte) (int64, error)
}

// invoke returns how a client does some work against a server; files go to dir.
func (p *peers) invoke(client string, w work, s *server, dir string) (invocation, error) {
	if client == ours {
		return p.invokeOurs(w, s)
	}
	binary := p.found[client]
	url := s.url(w)
	seconds := strconv.FormatFloat(w.Length.Seconds(), 'g', -1, 64) + "s"
	connections, streams := strconv.Itoa(w.Connections), strconv.Itoa(w.Streams)
	var in invocation
	switch client {
	case h2load:
		in.argv = []string{binary, "-D", seconds, "-c", connections, "-m", streams, "--tls13-ciphers=TLS_AES_128_GCM_SHA256"}
		if w.Rate > 0 {
			in.argv = append(in.argv, "--rps="+strconv.Itoa(w.Rate/w.Connections))
		}
		for _, h := range w.Headers {
			in.argv = append(in.argv, "-H", h)
		}
		for _, path := range w.Paths {
			in.argv = append(in.argv, url+path)
		}
		in.answered = counted(`(\d+) succeeded`)
	case oha:
		in.argv = []string{binary, "--no-tui", "--http2", "-z", seconds, "-c", connections, "-p", streams, "--output-format", "json", url + w.Paths[0]}
		in.answered = func(out []byte) (int64, error) {
			var report struct {
				StatusCodeDistribution map[string]int64 `json:"statusCodeDistribution"`
			}
			err := json.Unmarshal(out, &report)
			return report.StatusCodeDistribution["200"], err
		}
	case fortio:
		// One stream a connection is all it has, so it gets as many connections as
		// the others have streams.
		in.argv = []string{binary, "load", "-h2", "-qps", "0", "-t", seconds, "-c", strconv.Itoa(w.Connections * w.Streams), "-quiet", url + w.Paths[0]}
		in.toErrors = true
		in.answered = counted(`Code 200 : (\d+)`)
	case vegeta:
		file := filepath.Join(dir, "vegeta.bin")
		targets := filepath.Join(dir, "targets")
		if err := os.WriteFile(targets, []byte("GET "+url+w.Paths[0]+"\n"), 0o644); err != nil {
			return in, err
		}
		in.argv = []string{
			binary, "attack", "-h2c", "-rate", "0", "-max-workers", strconv.Itoa(w.Connections * w.Streams), "-duration", seconds,
			"-connections", connections, "-targets", targets, "-output", file,
		}
		in.answered = func([]byte) (int64, error) {
			out, err := exec.Command(binary, "report", "-type=json", file).Output()
			if err != nil {
				return 0, err
			}
			var report struct {
				Codes map[string]int64 `json:"status_codes"`
			}
			err = json.Unmarshal(out, &report)
			return report.Codes["200"], err
		}
	case k6:
		return p.invokeK6(w, url, seconds, dir)
	default:
		return in, fmt.Errorf("no client is called %s", client)
	}
	return in, nil
}

// counted finds a number in what a client prints.
func counted(pattern string) func([]byte) (int64, error) {
	expression := regexp.MustCompile(pattern)
	return func(out []byte) (int64, error) {
		match := expression.FindSubmatch(out)
		if match == nil {
			return 0, fmt.Errorf("it prints no count of answers:\n%s", out)
		}
		return strconv.ParseInt(string(match[1]), 10, 64)
	}
}

// invokeK6 writes a script that does what our checks do.
func (p *peers) invokeK6(w work, url, seconds, dir string) (invocation, error) {
	headers := map[string]string{}
	for _, h := range w.Headers {
		name, value, _ := strings.Cut(h, ": ")
		headers[name] = value
	}
	fields, err := json.Marshal(headers)
	if err != nil {
		return invocation{}, err
	}
	paths, err := json.Marshal(w.Paths)
	if err != nil {
		return invocation{}, err
	}
	script := fmt.Sprintf(`import http from "k6/http";
import { check } from "k6";
export const options = { vus: %d, duration: %q, insecureSkipTLSVerify: true };
const paths = %s, headers = %s;
export default function () {
  const answer = http.get(%q + paths[Math.floor(Math.random() * paths.length)], { headers });
  check(answer, { good: (a) => a.status === 200 && a.body.includes(%q) });
}
`, w.Connections*w.Streams, seconds, paths, fields, url, w.Check)
	file, summary := filepath.Join(dir, "script.js"), filepath.Join(dir, "summary.json")
	if err := os.WriteFile(file, []byte(script), 0o644); err != nil {
		return invocation{}, err
	}
	return invocation{
		argv: []string{p.found[k6], "run", "--quiet", "--no-usage-report", "--summary-export", summary, file},
		answered: func([]byte) (int64, error) {
			text, err := os.ReadFile(summary)
			if err != nil {
				return 0, err
			}
			var report struct {
				Metrics map[string]struct {
					Count  float64 `json:"count"`
					Passes float64 `json:"passes"`
				} `json:"metrics"`
			}
			err = json.Unmarshal(text, &report)
			return int64(math.Max(report.Metrics["http_reqs"].Count, report.Metrics["checks"].Passes)), err
		},
	}, nil
}

// invokeOurs calls this program itself with an order.
func (p *peers) invokeOurs(w work, s *server) (invocation, error) {
	o := order{Work: w, Address: s.address, Profile: p.profile}
	text, err := json.Marshal(o)
	if err != nil {
		return invocation{}, err
	}
	return invocation{
		argv: []string{p.self, "-order"}, stdin: text,
		answered: func(out []byte) (int64, error) {
			var found outcome
			if err := json.NewDecoder(bytes.NewReader(out)).Decode(&found); err != nil {
				return 0, fmt.Errorf("read our own outcome: %w: %s", err, out)
			}
			p.last = found
			return found.Facts.Statuses[200], nil
		},
	}, nil
}
