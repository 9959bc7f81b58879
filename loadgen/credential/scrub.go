package credential

import (
	"regexp"
	"strings"
)

const (
	// shortestSecret is the length in bytes from which a word is taken out of a
	// message: shorter ones would take the message with them.
	shortestSecret = 4
	// longestMessage is how much of what others say an error has, in bytes.
	longestMessage = 1000
)

var (
	secretName = regexp.MustCompile(`(?i)(token|secret|password|passwd|credential|api_?key|access_?key|private_?key)`)
	// What looks like a credential.
	jwtLike     = regexp.MustCompile(`eyJ[A-Za-z0-9_-]{5,}(\.[A-Za-z0-9_-]*)*`)
	headerLike  = regexp.MustCompile(`(?i)\b(authorization\s*[:=]).*|\b(bearer|basic)\s+\S+`)
	settingLike = regexp.MustCompile(`(?i)\b([a-z0-9_-]*(?:token|secret|password|passwd|api[-_]?key|access[-_]?key)["']?\s*[:=]\s*)("[^"]*"|'[^']*'|[^\s&]+)`)
	userLike    = regexp.MustCompile(`(://)[^/\s@]+@`)
	keyLike     = regexp.MustCompile(`[A-Za-z0-9+_=-]{32,}`)
)

// scrub makes the words of a command or a server fit for an error: one line, not
// too long, without the secrets and without what looks like one. It rather takes
// too much.
func scrub(text string, secrets ...string) string {
	for _, secret := range secrets {
		if len(secret) >= shortestSecret {
			text = strings.ReplaceAll(text, secret, hidden)
		}
	}
	text = headerLike.ReplaceAllString(text, "$1$2 "+hidden)
	text = settingLike.ReplaceAllString(text, "${1}"+hidden)
	text = jwtLike.ReplaceAllString(text, hidden)
	text = userLike.ReplaceAllString(text, "${1}"+hidden+"@")
	text = keyLike.ReplaceAllString(text, hidden)
	text = strings.Join(strings.FieldsFunc(text, func(r rune) bool { return r <= ' ' || r == 0x7f }), " ")
	if len(text) > longestMessage { // the end has the reason, as a rule
		text = "…" + strings.ToValidUTF8(text[len(text)-longestMessage:], "")
	}
	return text
}
