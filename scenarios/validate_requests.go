package scenarios

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

func (v *validator) requests() {
	if len(v.s.Requests) == 0 && v.written("requests") {
		v.fail("requests", "remove the key to take the default, one GET /", "the list is empty")
	}
	names := make(map[string]int)
	for i, r := range v.s.Requests {
		path := fmt.Sprintf("requests[%d]", i)
		if first, seen := names[r.Name]; seen && r.Name != "" {
			v.fail(path+".name", "", "the same name as requests[%d]", first)
		} else {
			names[r.Name] = i
		}
		if r.Method == "CONNECT" || r.Method == "TRACE" {
			v.fail(path+".method", "", "%s is not supported", r.Method)
		}
		v.headers(path+".headers", r.Headers)
		if r.Body != "" && r.BodyFile != "" {
			v.fail(path+".bodyFile", "remove one of the two", "body and bodyFile are both given")
		}
		v.call(path, r)
		v.check(path+".check", r)
		v.templates(path, r)
	}
}

// sizing asks for what its measurements need.
func (v *validator) sizing() {
	if lab := v.s.Lab; v.s.Sizing.QuotaPrice && (lab == nil || lab.Gateway.Limits.CPU == 0 && lab.Sidecar.Limits.CPU == 0 && lab.Service.Limits.CPU == 0) {
		v.fail("sizing.quotaPrice", "give lab.gateway.limits.cpu, or leave it out", "there is no CPU limit of a lab that could be lifted")
	}
	if v.s.Sizing.PerClass && len(v.s.Requests) < 2 {
		v.fail("sizing.perClass", "leave it out: what is measured is the cost of the only one", "tells the requests of a mix apart, and there are fewer than two")
	}
}

// call holds a request to being a gRPC call where gRPC is spoken, and only there.
func (v *validator) call(path string, r Request) {
	speaksGRPC := v.s.Target != nil && v.s.Target.Protocol == ProtocolGRPC
	switch {
	case r.GRPC == nil && speaksGRPC:
		v.fail(path, "give grpc: {method: package.Service/Method}", "is no gRPC call, but target.protocol is grpc")
	case r.GRPC == nil && r.Path == "":
		v.fail(path+".path", v.fields["Request.path"].text, "is missing")
	case r.GRPC != nil && !speaksGRPC:
		v.fail(path+".grpc", "set target.protocol: grpc", "a gRPC call needs a target whose protocol is grpc")
	}
	if r.GRPC == nil {
		return
	}
	for _, key := range []struct{ name, value string }{{"method", r.Method}, {"path", r.Path}, {"body", r.Body}, {"bodyFile", r.BodyFile}} {
		if key.value != "" {
			v.fail(path+"."+key.name, "remove it", "follows from grpc.method and grpc.message")
		}
	}
}

func (v *validator) check(path string, r Request) {
	if r.Check == nil {
		return
	}
	if r.Check.Status == "" && len(r.Check.Header) == 0 && r.Check.Body == "" {
		v.fail(path, "give status, header or body", "is empty")
	}
	if _, err := ParseStatuses(r.Check.Status); err != nil && !v.hasProblemAt(path+".status") {
		v.fail(path+".status", "", "%s", err)
	}
	if r.Check.Status != "" && r.GRPC != nil {
		v.fail(path+".status", "remove it", "a gRPC call is judged by its grpc-status, and always has the HTTP status 200")
	}
	if len(r.Check.Header) > 1 {
		v.fail(path+".header", "", "%d headers are given: one can be checked", len(r.Check.Header))
	}
	for _, name := range slices.Sorted(maps.Keys(r.Check.Header)) {
		if !isToken(name) {
			v.fail(join(path+".header", name), "", "%q is not a header name", name)
		}
	}
}

// templates finds placeholders that nothing stands behind. Whether the feed has
// a column of their name is told by ValidateFiles, which reads it.
func (v *validator) templates(path string, r Request) {
	for at, text := range templateTexts(path, r) {
		parts, stray := SplitTemplate(text)
		if stray >= 0 && (v.s.Feed != nil || hasName(parts)) {
			v.fail(at, "write $${ for the characters ${", "%q is not a placeholder ${name} of letters, digits, dots, dashes and underscores", clip(text[stray:]))
		}
		if v.s.Feed == nil && hasName(parts) {
			v.fail(at, "give a feed, or write $${ for the characters ${", "${%s} needs a feed to take its value from", firstName(parts))
		}
	}
}

// templateTexts yields the texts of a request in which placeholders may stand,
// but for its body file, with their paths in order.
func templateTexts(path string, r Request) func(yield func(string, string) bool) {
	return func(yield func(string, string) bool) {
		if !yield(path+".path", r.Path) || !yield(path+".body", r.Body) {
			return
		}
		if r.GRPC != nil && !yield(path+".grpc.message", r.GRPC.Message) {
			return
		}
		for _, name := range slices.Sorted(maps.Keys(r.Headers)) {
			if !yield(join(path+".headers", name), r.Headers[name]) {
				return
			}
		}
	}
}

func hasName(parts []TemplatePart) bool { return firstName(parts) != "" }

func firstName(parts []TemplatePart) string {
	for _, part := range parts {
		if part.Name != "" {
			return part.Name
		}
	}
	return ""
}

// clip shortens a text for a message.
func clip(text string) string {
	const most = 24
	if len(text) > most {
		text = strings.ToValidUTF8(text[:most], "") + "…"
	}
	return text
}

// headers refuses what HTTP/2 does not carry (RFC 9113, section 8.2) and what
// the generator sets itself.
func (v *validator) headers(path string, headers map[string]string) {
	seen := make(map[string]bool)
	for _, name := range slices.Sorted(maps.Keys(headers)) {
		at, lower := join(path, name), strings.ToLower(name)
		switch {
		case seen[lower]:
			v.fail(at, "", "the same header in other capitals is there already")
		case strings.HasPrefix(name, ":"):
			v.fail(at, "method, path and target.url set these", "pseudo-headers are set by the generator")
		case !isToken(name):
			v.fail(at, "", "%q is not a header name", name)
		case lower == "host":
			v.fail(at, "put the name into target.url and the address into target.connectTo", "the host is set by target.url")
		case isOurs(lower):
			v.fail(at, "", "the generator or HTTP/2 sets this itself")
		case lower == "te" && headers[name] != "trailers":
			v.fail(at, "", "HTTP/2 allows no value but trailers")
		case strings.ContainsAny(headers[name], "\r\n\x00") || headers[name] != strings.Trim(headers[name], " \t"):
			v.fail(at, "", "the value has a line break, a NUL, or a space at an end")
		}
		seen[lower] = true
	}
}

// isOurs reports whether a header, in lower case, is one that the generator or
// the protocol sets.
func isOurs(name string) bool {
	return slices.Contains([]string{"connection", "keep-alive", "proxy-connection", "transfer-encoding", "upgrade", "content-length", "x-sailplan-run"}, name)
}
