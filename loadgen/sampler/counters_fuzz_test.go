package sampler

import "testing"

// FuzzParseCounters wants numbers of the cluster, or an error, of any text.
func FuzzParseCounters(f *testing.F) {
	f.Add([]byte(`{"stats":[{"name":"cluster.a.upstream_rq_active","value":3},{"name":"cluster.a.text","value":"x"},{"histograms":{}}]}`))
	f.Add([]byte(`{"stats":[{"name":"cluster.a.n","value":1e999},{"name":null}]}`))
	f.Add([]byte(`[]`))
	f.Fuzz(func(t *testing.T, text []byte) {
		values, err := parseCounters(text, "a")
		if err != nil && values != nil {
			t.Errorf("got %v with an error", values)
		}
	})
}
