package scenarios

import (
	"fmt"
	"strconv"
	"strings"
)

// StatusRange is a range of HTTP statuses, both ends included.
type StatusRange struct{ From, To int }

// ParseStatuses reads the good statuses of a check: numbers from 100 to 599
// ("200"), ranges ("200-204") and classes ("2xx"), with commas between. An empty
// text gives none.
func ParseStatuses(text string) ([]StatusRange, error) {
	if strings.TrimSpace(text) == "" {
		return nil, nil
	}
	if !statusExpression.MatchString(text) {
		return nil, fmt.Errorf("statuses %q: write for instance 200, 2xx or 200-204,301", text)
	}
	var ranges []StatusRange
	for part := range strings.SplitSeq(text, ",") {
		part = strings.TrimSpace(part)
		if class, isClass := strings.CutSuffix(part, "xx"); isClass {
			first := 100 * int(class[0]-'0')
			ranges = append(ranges, StatusRange{first, first + 99})
			continue
		}
		first, last, isRange := strings.Cut(part, "-")
		from, err := strconv.Atoi(strings.TrimSpace(first))
		if err != nil {
			return nil, fmt.Errorf("statuses %q: %w", text, err)
		}
		to := from
		if isRange {
			if to, err = strconv.Atoi(strings.TrimSpace(last)); err != nil {
				return nil, fmt.Errorf("statuses %q: %w", text, err)
			}
		}
		if to < from {
			return nil, fmt.Errorf("statuses %q: %s ends below its start", text, part)
		}
		ranges = append(ranges, StatusRange{from, to})
	}
	return ranges, nil
}
