# Reads `go test -v` of several packages. Of a package that passes it prints the
# tests that were skipped, each with its reason on one line, and Go's own line of
# the package; of one that fails, all that its tests said. What comes before a
# package's first test, such as an error of the compiler, is printed as it comes.

function finish(failed,    i, heading) {
	heading = ""
	for (i = 1; i <= kept; i++) {
		if (i in skipped) print skipped[i]
		else if (!failed || line[i] ~ /^ *--- PASS: /) continue
		# Whose lines follow is said only when lines follow.
		else if (line[i] ~ /^=== /) heading = line[i]
		else {
			if (heading != "" && line[i] !~ /^ *--- /) print heading
			heading = ""
			print line[i]
		}
	}
	kept = 0
	inside = 0
	current = ""
	split("", skipped)
	split("", reason)
}

/^=== RUN / { inside = 1 }

/^(ok  |\?   |FAIL)\t/ { finish(/^FAIL/); print; fflush(); next }

!inside { if ($0 != "PASS") print; next }

{ line[++kept] = $0 }

/^=== (RUN|CONT|NAME) / { current = $3; next }

# The last thing that a skipped test says is why it was skipped.
/^ +[A-Za-z0-9_.-]+\.go:[0-9]+: / {
	text = $0
	sub(/^ +[A-Za-z0-9_.-]+\.go:[0-9]+: /, "", text)
	reason[current] = text
	next
}

/^ *--- SKIP: / { skipped[kept] = "--- SKIP: " $3 ": " reason[$3] }

END { finish(1) }
