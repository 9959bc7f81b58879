// Package lab owns the system under test that sailplan brings itself.
//
//	generator ──h2──► gateway ──mTLS──► sidecar ──h2c──► test service   (replica 0)
//	                         └─mTLS──► sidecar ──h2c──► test service   (replica 1 …)
package lab
