// Package sarif writes the findings of an audit as SARIF 2.1.0, the format in
// which code hosts and editors show findings beside the line.
//
// The format: https://docs.oasis-open.org/sarif/sarif/v2.1.0/.
package sarif
