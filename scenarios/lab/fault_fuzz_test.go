package lab

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// FuzzFault wants a fault that a service can behave by, or a refusal, of any text.
func FuzzFault(f *testing.F) {
	f.Add(`{"hold":1000000,"status":503,"slots":2}`)
	f.Add(`{"hold":-1}`)
	f.Add(`{"status":99999}`)
	f.Add(`{"slots":1e9}`)
	f.Add(`[`)
	f.Fuzz(func(t *testing.T, text string) {
		if strings.Contains(text, "network") || strings.Contains(text, "drop") {
			return // those are the gate's, which opens sockets
		}
		c := newControl(time.Now(), ServiceConfig{})
		gate := &gate{}
		answer := httptest.NewRecorder()
		faultHandler(c, gate).ServeHTTP(answer, httptest.NewRequest(http.MethodPost, "/fault", strings.NewReader(text)))
		hold, status, _, _ := c.treat(0)
		if hold < 0 || hold > maxDelay || status != 0 && (status < 200 || status > 599) || answer.Code == http.StatusInternalServerError {
			t.Errorf("%q: took %s and %d, answered %d", text, hold, status, answer.Code)
		}
	})
}
