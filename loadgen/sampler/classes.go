package sampler

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/common/model"
)

// usualClassLabels are the labels that tell the requests of a mesh apart, those first
// that tell most about what one costs: the operation that Istio classifies requests by
// where it is told to, the destination, Envoy's cluster, the status. Those of Istio are
// in "Istio Standard Metrics" and "Classifying Metrics Based on Request or Response" of
// its documentation.
func usualClassLabels() []string {
	return []string{"request_operation", "destination_service_name", "destination_service", "envoy_cluster_name", "response_code"}
}

// ClassLabel returns the label that tells apart the kinds of requests that a counter
// counts in the range: the one that is asked for, or, of "", the first usual one that
// has two values or more, and where none has, the first that has any. No series, or
// none with such a label, is an error.
func (h *History) ClassLabel(ctx context.Context, selector, asked string) (string, error) {
	selector = strings.TrimSpace(selector)
	fail := func(err error) (string, error) {
		return "", fmt.Errorf("prometheus query classes, %s, from %s to %s: %w", selector, h.from.UTC().Format(time.RFC3339), h.to.UTC().Format(time.RFC3339), err)
	}
	series, _, _, err := h.source.api.Series(ctx, []string{selector}, h.from, h.to)
	if err != nil {
		return fail(err)
	}
	if len(series) == 0 {
		return fail(errNoSeries)
	}
	label, err := classLabel(series, asked)
	if err != nil {
		return fail(err)
	}
	return label, nil
}

// classLabel chooses among the labels of series.
func classLabel(series []model.LabelSet, asked string) (string, error) {
	values := map[string]map[model.LabelValue]bool{}
	for _, one := range series {
		for name, value := range one {
			if values[string(name)] == nil {
				values[string(name)] = map[model.LabelValue]bool{}
			}
			values[string(name)][value] = true
		}
	}
	there := strings.Join(slices.Sorted(maps.Keys(values)), ", ")
	if asked != "" {
		if len(values[asked]) == 0 {
			return "", fmt.Errorf("no series has the label %s; there are %s", asked, there)
		}
		return asked, nil
	}
	for _, least := range []int{2, 1} {
		for _, usual := range usualClassLabels() {
			if len(values[usual]) >= least {
				return usual, nil
			}
		}
	}
	return "", errors.New("no series has a label that usually tells requests apart (" + strings.Join(usualClassLabels(), ", ") + "): name classLabel, one of " + there)
}

// Growth returns by how much the counters of a selector grew in a window of time, by the
// values of a label, or all together under "" where the label is empty; nothing where
// nothing was scraped. A series that begins within the window lacks what it began with,
// as Prometheus's increase does.
func (h *History) Growth(ctx context.Context, selector, label string, from, to time.Time) (map[string]float64, error) {
	by := ""
	if label != "" {
		by = "by (" + label + ") "
	}
	expression := fmt.Sprintf("sum %s(increase(%s[%dms]))", by, strings.TrimSpace(selector), to.Sub(from).Milliseconds())
	value, _, _, err := h.source.api.Query(ctx, expression, to)
	if err != nil {
		return nil, fmt.Errorf("prometheus query %s at %s: %w", expression, to.UTC().Format(time.RFC3339), err)
	}
	vector, ok := value.(model.Vector)
	if !ok {
		return nil, fmt.Errorf("prometheus query %s returned a %s", expression, value.Type())
	}
	out := map[string]float64{}
	for _, sample := range vector {
		out[string(sample.Metric[model.LabelName(label)])] += float64(sample.Value)
	}
	return out, nil
}
