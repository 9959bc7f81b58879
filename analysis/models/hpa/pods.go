package hpa

import "math"

// How a Deployment goes about an update unless it is told otherwise: a quarter more
// at once, rounded up, and a quarter fewer, rounded down.
const updateShare = 0.25

func (s *simulation) surge() int {
	if s.Surge != nil {
		return max(s.Surge(s.replicas), 0)
	}
	return int(math.Ceil(updateShare * float64(s.replicas)))
}

func (s *simulation) unavailable() int {
	n := int(updateShare * float64(s.replicas))
	if s.Unavailable != nil {
		n = max(s.Unavailable(s.replicas), 0)
	}
	if n == 0 && s.surge() == 0 {
		return 1 // as the Deployment's controller has it, or nothing could happen
	}
	return n
}

// disturb lets happen what is due.
func (s *simulation) disturb() {
	if s.now >= s.factorEnds {
		s.factor = 1
	}
	for ; s.happened < len(s.Disturbances) && s.Disturbances[s.happened].At <= s.now; s.happened++ {
		d := s.Disturbances[s.happened]
		total := 0
		for i := range s.pods {
			total += s.pods[i].count
			s.pods[i].old = s.pods[i].old || d.Update
		}
		s.updating = s.updating || d.Update
		if d.Factor > 0 {
			s.factor, s.factorEnds = d.Factor, s.now+clusterGone
		}
		lost := d.Lost
		if d.Zones > 0 {
			lost += d.fullest(total)
		}
		// Those that carry the load go first: that is the worse case.
		for i := 0; i < len(s.pods) && lost > 0; i++ {
			lost -= s.take(i, lost)
		}
		s.sweep()
	}
}

// take removes up to n pods of a cohort and returns how many.
func (s *simulation) take(i, n int) int {
	n = min(max(n, 0), s.pods[i].count)
	s.pods[i].count -= n
	return n
}

// sweep forgets cohorts without pods.
func (s *simulation) sweep() {
	kept := s.pods[:0]
	for _, c := range s.pods {
		if c.count > 0 {
			kept = append(kept, c)
		}
	}
	s.pods = kept
}

func (s *simulation) start(n int) {
	if n > 0 {
		s.pods = append(s.pods, cohort{count: n, started: s.now, ready: s.now + s.timing.StartUp, seen: s.now})
	}
}

// reconcile makes the pods as many as the autoscaler wants: new ones start, the
// youngest go.
func (s *simulation) reconcile() {
	if s.updating {
		s.roll()
		return
	}
	total := 0
	for i := range s.pods {
		total += s.pods[i].count
	}
	s.start(s.replicas - total)
	if total <= s.replicas {
		return
	}
	for i := len(s.pods) - 1; i >= 0; i-- {
		total -= s.take(i, total-s.replicas)
	}
	s.sweep()
}

// roll goes on with a rolling update, as the Deployment's controller does: new pods
// as far as the surge allows, and as many old ones away as leaves enough available.
// A new pod counts when it has its share of the load: until then an old one that
// goes still drains.
func (s *simulation) roll() {
	surge, least := s.surge(), s.replicas-s.unavailable()
	total, fresh, starting := 0, 0, 0
	for i := range s.pods {
		c := &s.pods[i]
		total += c.count
		if !c.old {
			fresh += c.count
			if s.weight(c) < 1 {
				starting += c.count
			}
		}
	}
	add := min(s.replicas-fresh, s.replicas+surge-total)
	if add > 0 {
		s.start(add)
		total, starting = total+add, starting+add
	}
	// Those that are not ready go first; what then is too many is available.
	away := total - least - starting
	for _, ready := range []bool{false, true} {
		for i := range s.pods {
			c := &s.pods[i]
			if !c.old || (s.weight(c) == 1) != ready {
				continue
			}
			away -= s.take(i, away)
		}
	}
	for i := len(s.pods) - 1; i >= 0 && fresh > s.replicas; i-- {
		if !s.pods[i].old {
			fresh -= s.take(i, fresh-s.replicas)
		}
	}
	s.sweep()
	s.updating = false
	for i := range s.pods {
		s.updating = s.updating || s.pods[i].old
	}
}
