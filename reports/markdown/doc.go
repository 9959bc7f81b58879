// Package markdown writes a document as GitHub-flavoured Markdown that fits a
// comment on a pull request: the answer is open, the details are folded.
package markdown
