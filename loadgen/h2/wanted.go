package h2

import (
	"bytes"
	"slices"

	"github.com/sailplan-io/sailplan/loadgen/exchange"
)

// wanted is what a field's name means to us.
type wanted struct {
	name     string
	evidence exchange.Evidence // that the field is, if its value says so
	length   bool              // is content-length
	backend  bool              // names the backend
	checked  bool              // some request's check looks at it
	place    int               // in Config.Fields, −1: the Reader does not ask for it
}

// wantedNames returns all names that matter on a connection.
func wantedNames(cfg *Config, requests []exchange.Request) []wanted {
	all := []wanted{
		{name: "x-envoy-overloaded", evidence: exchange.SaysOverloaded, place: -1},
		{name: "x-envoy-upstream-service-time", evidence: exchange.UpstreamAnswered, place: -1},
		{name: "server", evidence: exchange.FromProxy, place: -1},
		{name: "content-length", length: true, place: -1},
	}
	entry := func(name string) *wanted {
		i := slices.IndexFunc(all, func(w wanted) bool { return w.name == name })
		if i < 0 {
			i = len(all)
			all = append(all, wanted{name: name, place: -1})
		}
		return &all[i]
	}
	if cfg.BackendHeader != "" {
		entry(cfg.BackendHeader).backend = true
	}
	for i := range requests {
		if check := requests[i].Check; check != nil && check.Header.Name != "" {
			entry(check.Header.Name).checked = true
		}
	}
	if cfg.Reader != nil {
		for place, name := range cfg.Fields {
			entry(name).place = place
		}
	}
	return all
}

// want sets the names that matter, also for what is in the table already.
func (d *decoder) want(all []wanted) {
	d.wanted = all
	d.version++
	for i := 1; i <= staticLength; i++ {
		name, _ := static(i)
		d.marks[i] = d.markOf([]byte(name))
	}
	for i := d.first; i < len(d.entries); i++ {
		e := &d.entries[i]
		e.mark = d.markOf(d.nameOf(e))
	}
}

// markOf returns what a name means.
func (d *decoder) markOf(name []byte) uint16 {
	if len(name) > 0 && name[0] == ':' {
		if string(name) == ":status" {
			return markStatus
		}
		return markPseudo
	}
	for i := range d.wanted {
		if d.wanted[i].name == string(name) {
			return markWanted + uint16(i)
		}
	}
	return markNone
}

// shows returns the evidence that a field's value is.
func (w *wanted) shows(value []byte) exchange.Evidence {
	switch w.evidence {
	case exchange.SaysOverloaded:
		if string(value) != "true" {
			return 0
		}
	case exchange.FromProxy:
		if string(value) != "envoy" && string(value) != "istio-envoy" {
			return 0
		}
	}
	return w.evidence
}

// The bounds of what is kept of backends' names.
const (
	backendLength = 128  // bytes of a name
	backendNames  = 1024 // names on one connection
)

// backends keeps the names of backends, so that each is a string only once.
type backends struct {
	last  string
	names map[string]string
}

// name returns a backend's name as a string, none when there have been too many
// for them to be backends.
func (b *backends) name(value []byte) string {
	value = value[:min(len(value), backendLength)]
	if string(value) == b.last {
		return b.last
	}
	known, ok := b.names[string(value)]
	if !ok {
		if len(b.names) >= backendNames {
			return ""
		}
		if b.names == nil {
			b.names = map[string]string{}
		}
		known = string(bytes.ToValidUTF8(value, []byte("?")))
		b.names[string(value)] = known
	}
	b.last = known
	return known
}
