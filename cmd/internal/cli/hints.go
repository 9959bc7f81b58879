package cli

import (
	"errors"
	"fmt"
	"strings"

	"github.com/sailplan-io/sailplan/loadgen/dial"
	"github.com/sailplan-io/sailplan/scenarios"
)

// hinted adds to an error of a run what the user may do about it, in flags and in
// the words of a scenario.
func hinted(err error, target *scenarios.Target) error {
	if err == nil || target == nil {
		return err
	}
	if hint := hintFor(err, *target); hint != "" {
		return fmt.Errorf("%w\n      hint: %s", err, hint)
	}
	return err
}

func hintFor(err error, target scenarios.Target) string {
	const oldProtocol = "if the server speaks HTTP/1.1 only, give --protocol http/1.1 (target.protocol in a scenario)"
	var failed *dial.Error
	if errors.As(err, &failed) {
		switch failed.Cause {
		case dial.CauseAuthority:
			return "name the authority with --ca FILE (target.tls.caFile), or accept any certificate with --insecure"
		case dial.CauseName:
			return "give the name that the certificate has with --server-name (target.tls.serverName), or accept any certificate with --insecure"
		case dial.CauseExpired, dial.CauseCertificate:
			return "--insecure accepts any certificate"
		case dial.CauseNotTLS:
			return "the server answers in cleartext there: use http:// in the URL"
		case dial.CauseNoProtocol, dial.CauseProtocol:
			return oldProtocol
		case dial.CauseRefused:
			return "nothing listens there: is the server up, and the port right?"
		}
		return ""
	}
	cleartext := strings.HasPrefix(target.URL, "http://") && target.Protocol != scenarios.ProtocolHTTP1
	if text := err.Error(); cleartext && strings.Contains(text, "preflight: open an HTTP/2 connection") {
		return oldProtocol + "; if it wants TLS, use https:// in the URL"
	}
	return ""
}
