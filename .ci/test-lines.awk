# Reads `go test -v` of several packages. Of a package that passes it prints the
# tests that were skipped, each with its reason on one line, and Go's own line of
# the package; of one that fails, also all that the tests said that did not pass.
# What comes before a package's first test, such as an error of the compiler, is
# printed as it comes.

function finish(failed,    i, told) {
	told = ""
	for (i = 1; i <= kept; i++) {
		if (i in skipped) print skipped[i]
		else if (!failed || verdict[of[i]] == "PASS" || verdict[of[i]] == "SKIP") continue
		else {
			if (of[i] != "" && of[i] != told && line[i] !~ /^ *--- /) print "=== " (told = of[i])
			print line[i]
		}
	}
	kept = 0
	inside = 0
	current = ""
	split("", skipped)
	split("", verdict)
	split("", reason)
}

/^=== RUN / { inside = 1 }

/^(ok  |\?   |FAIL)\t/ { finish(/^FAIL/); print; fflush(); next }

!inside { if ($0 != "PASS") print; next }

/^=== (RUN|PAUSE|CONT|NAME) / { current = $3; next }

/^ *--- (PASS|FAIL|SKIP): / {
	verdict[$3] = substr($2, 1, 4)
	line[++kept] = $0
	of[kept] = $3
	if (verdict[$3] == "SKIP") skipped[kept] = "--- SKIP: " $3 ": " reason[$3]
	current = ""
	next
}

# The last thing that a skipped test says is why it was skipped.
/^ +[A-Za-z0-9_.-]+\.go:[0-9]+: / {
	text = $0
	sub(/^ +[A-Za-z0-9_.-]+\.go:[0-9]+: /, "", text)
	reason[current] = text
}

{ line[++kept] = $0; of[kept] = current }

END { finish(1) }
