package lab

import (
	"encoding/json"
	"net"
	"net/http"
	"regexp"
	"strconv"
	"sync/atomic"
)

// standInStats are the counters and gauges of a stand-in, under Envoy's names.
type standInStats struct {
	prefix, cluster string // Envoy's stat prefix and cluster name
	concurrency     int

	downstreamConnections, downstreamConnectionsTotal atomic.Int64
	downstreamActive, downstreamTotal                 atomic.Int64
	downstreamClasses                                 [6]atomic.Int64 // by first digit of the status
	upstreamConnections, upstreamConnectionsTotal     atomic.Int64
	upstreamConnectFail                               atomic.Int64
	upstreamActive, upstreamTotal, upstreamOverflow   atomic.Int64
	upstreamClasses                                   [6]atomic.Int64
}

func (s *standInStats) downstreamClass(status int) { count(&s.downstreamClasses, status) }
func (s *standInStats) upstreamClass(status int)   { count(&s.upstreamClasses, status) }

func count(classes *[6]atomic.Int64, status int) {
	if class := status / 100; class > 0 && class < len(classes) {
		classes[class].Add(1)
	}
}

// connState counts the connections of a server; it is an http.Server's hook.
func (s *standInStats) connState(_ net.Conn, state http.ConnState) {
	switch state {
	case http.StateNew:
		s.downstreamConnections.Add(1)
		s.downstreamConnectionsTotal.Add(1)
	case http.StateClosed, http.StateHijacked:
		s.downstreamConnections.Add(-1)
	case http.StateActive, http.StateIdle:
	}
}

// statistic is one entry of Envoy's /stats?format=json.
type statistic struct {
	Name  string `json:"name"`
	Value int64  `json:"value"`
}

// all returns every statistic, as it is now.
func (s *standInStats) all() []statistic {
	http, cluster := "http."+s.prefix+".", "cluster."+s.cluster+"."
	list := []statistic{
		{"server.live", 1},
		{"server.concurrency", int64(s.concurrency)},
		{http + "downstream_cx_active", s.downstreamConnections.Load()},
		{http + "downstream_cx_total", s.downstreamConnectionsTotal.Load()},
		{http + "downstream_rq_active", s.downstreamActive.Load()},
		{http + "downstream_rq_total", s.downstreamTotal.Load()},
		{cluster + "upstream_cx_active", s.upstreamConnections.Load()},
		{cluster + "upstream_cx_total", s.upstreamConnectionsTotal.Load()},
		{cluster + "upstream_cx_connect_fail", s.upstreamConnectFail.Load()},
		{cluster + "upstream_rq_active", s.upstreamActive.Load()},
		{cluster + "upstream_rq_total", s.upstreamTotal.Load()},
		{cluster + "upstream_rq_active_overflow", s.upstreamOverflow.Load()},
	}
	for class := 1; class < len(s.downstreamClasses); class++ {
		suffix := "_rq_" + strconv.Itoa(class) + "xx"
		list = append(list,
			statistic{http + "downstream" + suffix, s.downstreamClasses[class].Load()},
			statistic{cluster + "upstream" + suffix, s.upstreamClasses[class].Load()})
	}
	return list
}

// handler serves the part of Envoy's admin endpoint that the lab and a sampler
// ask for: /ready, /listeners?format=json, /stats?format=json[&filter=REGEX].
func (s *standInStats) handler(name string, port uint32) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /ready", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/plain")
		_, _ = w.Write([]byte("LIVE\n"))
	})
	mux.HandleFunc("GET /listeners", func(w http.ResponseWriter, _ *http.Request) {
		type object = map[string]any
		writeJSON(w, object{"listener_statuses": []object{{
			"name":          name,
			"local_address": object{"socket_address": object{"address": "127.0.0.1", "port_value": port}},
		}}})
	})
	mux.HandleFunc("GET /stats", func(w http.ResponseWriter, r *http.Request) {
		query := r.URL.Query()
		if query.Get("format") != "json" {
			http.Error(w, "only format=json", http.StatusBadRequest)
			return
		}
		wanted, err := regexp.Compile(query.Get("filter"))
		if err != nil {
			http.Error(w, "invalid filter: "+err.Error(), http.StatusBadRequest)
			return
		}
		list := []statistic{}
		for _, entry := range s.all() {
			if wanted.MatchString(entry.Name) {
				list = append(list, entry)
			}
		}
		writeJSON(w, map[string]any{"stats": list})
	})
	return mux
}

func writeJSON(w http.ResponseWriter, value any) {
	text, err := json.Marshal(value)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(text)
}
