package sampler

import (
	"strings"
	"testing"

	"github.com/prometheus/common/model"
)

func TestClassLabel(t *testing.T) {
	series := func(texts ...string) (out []model.LabelSet) {
		for _, text := range texts {
			set := model.LabelSet{}
			for pair := range strings.SplitSeq(text, ",") {
				name, value, _ := strings.Cut(pair, "=")
				set[model.LabelName(name)] = model.LabelValue(value)
			}
			out = append(out, set)
		}
		return out
	}
	for _, test := range []struct {
		name   string
		series []model.LabelSet
		asked  string
		want   string
		fails  string
	}{
		{"the operation before all others", series("request_operation=List,destination_service_name=a,pod=x", "request_operation=Get,destination_service_name=b,pod=x"), "", "request_operation", ""},
		{"one destination, two statuses", series("destination_service_name=a,response_code=200", "destination_service_name=a,response_code=503"), "", "response_code", ""},
		{"one of everything", series("destination_service_name=a,response_code=200"), "", "destination_service_name", ""},
		{"the one that is asked for", series("path=/a,response_code=200", "path=/b,response_code=503"), "path", "path", ""},
		{"asked for, and not there", series("response_code=200,pod=x"), "path", "", "no series has the label path; there are pod, response_code"},
		{"none that is usual", series("pod=x,zone=1"), "", "", "name classLabel, one of pod, zone"},
	} {
		t.Run(test.name, func(t *testing.T) {
			got, err := classLabel(test.series, test.asked)
			if got != test.want || (err != nil) != (test.fails != "") || err != nil && !strings.Contains(err.Error(), test.fails) {
				t.Errorf("got %q, %v; want %q, %q", got, err, test.want, test.fails)
			}
		})
	}
}
