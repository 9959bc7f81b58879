package breaker

import (
	"fmt"
	"math"
	"time"

	"github.com/sailplan-io/sailplan/analysis/models/queue"
	"github.com/sailplan-io/sailplan/scenarios/mesh"
)

// Overload is a load on a destination whose limits on requests shed a part of it.
type Overload struct {
	Clients, Endpoints int
	// ClientLimit is http2MaxRequests at each client, ServerLimit at each endpoint; 0:
	// none.
	ClientLimit, ServerLimit int
	Rate                     float64 // requests a second, over all clients, at random distances
	HoldSeconds              float64 // that an answer takes on average
	Seconds                  float64 // for how long
	Retries                  int     // of what an endpoint's sidecar shed
}

// Split is how many requests of a load were answered, and how many were shed.
type Split struct{ Admitted, Shed float64 }

// holdVariation is the squared coefficient of variation of the times that answers
// take in a prediction: they lie evenly between half and one and a half of the mean.
const holdVariation = 1.0 / 12

// Predict returns the split to be expected when the load comes to an idle system and
// the times that answers take lie evenly between half and one and a half of their mean.
//
// Each client, with its share of the load, and each endpoint, with its share of what
// the clients let through, is a loss system: of offered load a, in Erlang, n places
// refuse the share B(a, n) (Erlang's loss formula; Kleinrock, Queueing Systems,
// volume 1, 3.6). A client's own overflow is not tried again; what an endpoint's
// sidecar sheds is, where the route retries 5xx, so that the share β that an endpoint
// refuses follows from a load of 1 + β + … + β^r attempts for r retries, and of the
// requests β^(r+1) are lost. What is refused at once holds no place at its client. The
// shares depend on each other and are iterated to their fixed point.
//
// N places that are idle at first take N·((1 + c²)/2 − t/2h) more than they do later,
// where c² is the squared coefficient of variation of the time h that an answer takes,
// and t = N/λ how long it takes to fill them: each place is a renewal process that
// begins with a request (Cox, Renewal Theory, 4.2: m(t) ≈ t/h + (c² − 1)/2).
func Predict(o Overload) (Split, error) {
	atClient, atEndpoint, err := o.shares()
	if err != nil {
		return Split{}, err
	}
	all, offered := o.Rate*o.Seconds, o.Rate*o.HoldSeconds
	served := (1 - atClient) * (1 - math.Pow(atEndpoint, float64(o.Retries+1)))
	admitted := all * served
	if places := offered * served; places < offered {
		admitted += places * ((1+holdVariation)/2 - places/offered/2)
	}
	admitted = math.Min(admitted, all)
	return Split{admitted, all - admitted}, nil
}

// shares returns what share of the requests clients refuse, and of the attempts that
// come to them endpoints.
func (o Overload) shares() (atClient, atEndpoint float64, err error) {
	offered := o.Rate * o.HoldSeconds
	refused := func(load float64, limit int) (float64, error) {
		if limit == 0 {
			return 0, nil
		}
		return queue.ErlangB(load, limit)
	}
	const rounds, enough = 500, 1e-9
	for range rounds {
		attempts, lost := 0.0, 1.0
		for range o.Retries + 1 {
			attempts += lost
			lost *= atEndpoint
		}
		client, err := refused(offered*(1-lost)/float64(o.Clients), o.ClientLimit)
		if err != nil {
			return 0, 0, fmt.Errorf("predicting what clients shed: %w", err)
		}
		endpoint, err := refused(offered*(1-client)*attempts/float64(o.Endpoints), o.ServerLimit)
		if err != nil {
			return 0, 0, fmt.Errorf("predicting what endpoints shed: %w", err)
		}
		off := math.Abs(client-atClient) + math.Abs(endpoint-atEndpoint)
		// Half of the way, so that the two do not swing past each other.
		atClient, atEndpoint = (atClient+client)/2, (atEndpoint+endpoint)/2
		if off < enough {
			break
		}
	}
	return atClient, atEndpoint, nil
}

// predictionError is by how much a prediction may be off what is measured.
const predictionError = 0.10

// mostPredicted is the limit with which predictions are tried: the sums are the same
// for any number, and a larger one only takes longer.
const mostPredicted = 100

// predictions are trials of what several clients in front of several endpoints admit
// and shed together, told before it is measured.
func (s Setup) predictions() []Trial {
	client, server := s.Client.ConnectionPool.HTTP.MaxRequests, s.Server.ConnectionPool.HTTP.MaxRequests
	if !isSet(client) && !isSet(server) {
		return nil
	}
	var trials []Trial
	for _, clients := range []int{1, 2, 4} {
		for _, endpoints := range []int{1, 3} {
			trials = append(trials, s.prediction(clients, endpoints, scaled(client), scaled(server)))
		}
	}
	return trials
}

// scaled is a limit as it is tried; 0 where there is none.
func scaled(limit mesh.Value[uint32]) int {
	if !isSet(limit) {
		return 0
	}
	return int(min(limit.Value, mostPredicted))
}

func (s Setup) prediction(clients, endpoints, clientLimit, serverLimit int) Trial {
	o := Overload{Clients: clients, Endpoints: endpoints, ClientLimit: clientLimit, ServerLimit: serverLimit, Retries: int(s.attempts())}
	places := math.Inf(1)
	if clientLimit > 0 {
		places = float64(clients * clientLimit)
	}
	if serverLimit > 0 {
		places = math.Min(places, float64(endpoints*serverLimit))
	}
	offered := overShare * places
	const usualRate, shortest, longest = 450, 0.15, 2.0
	o.HoldSeconds = math.Min(math.Max(offered/usualRate, shortest), longest)
	o.Rate = offered / o.HoldSeconds
	rounds := 20.0
	if s.Fast {
		rounds = 10
	}
	// Enough requests that their chance does not decide.
	o.Seconds = math.Max(rounds*o.HoldSeconds, math.Ceil(1000/o.Rate/o.HoldSeconds)*o.HoldSeconds)
	t := Trial{Name: fmt.Sprintf("prediction: %s, %s", plural(clients, "client"), plural(endpoints, "endpoint")), Field: fieldRequests, Side: Client}
	split, err := Predict(o)
	if err != nil {
		t.Impossible = err.Error()
	}
	t.Expected = fmt.Sprintf("of %.0f requests that arrive at random, %.0f/s, and take %s on average, %.0f are answered and %.0f shed", split.Admitted+split.Shed, o.Rate, short(seconds(o.HoldSeconds).Round(time.Millisecond)), split.Admitted, split.Shed)
	b := s.bench()
	b.Endpoints, b.Gateways = endpoints, clients
	b.Retries = &Retries{Attempts: s.attempts(), On: serverErrors}
	limitRequests(&b.Client, clientLimit)
	limitRequests(&b.Server, serverLimit)
	if full := s.Client.ConnectionPool.HTTP.MaxRequests; isSet(full) && full.Value > mostPredicted {
		t.Expected += fmt.Sprintf("; with a limit of %d, since the sums are the same", mostPredicted)
	}
	send := load(o.Rate, offered, seconds(10*o.HoldSeconds)+5*time.Second)
	send.Poisson = true
	t.Parts = []Part{{b, []Step{{Name: "overload", Faults: all(b, Fault{Hold: seconds(o.HoldSeconds), Random: true}), Load: send, For: seconds(o.Seconds)}}}}
	t.judge = func(facts []Facts) outcome { return judgePrediction(o, facts[0]) }
	return t
}

func limitRequests(policy *mesh.Policy, n int) {
	if n > 0 {
		policy.ConnectionPool.HTTP.MaxRequests.Value = uint32(n)
	}
}

// judgePrediction holds a prediction against what happened. What arrives at random is
// a little more or less than was to be expected: the prediction is that of the load
// that came.
func judgePrediction(o Overload, f Facts) outcome {
	o.Rate = float64(f.Sent) / o.Seconds
	predicted, err := Predict(o)
	if err != nil || f.Sent == 0 {
		return unmeasured("", "nothing was sent")
	}
	admitted, shed := float64(f.Good), float64(f.Errors[classOverflow])
	off := func(got, want float64) float64 { return (got - want) / want }
	admittedOff, shedOff := off(admitted, predicted.Admitted), off(shed, predicted.Shed)
	observed := fmt.Sprintf("%d came, for which the sums are %.0f answered and %.0f shed: %.0f were answered and %.0f shed, %.0f by clients and %.0f by sidecars; %.0f retries",
		f.Sent, predicted.Admitted, predicted.Shed, admitted, shed, f.shed(Client), f.shed(Server), f.Client["upstream_rq_retry"])
	// Those that are shed at once take less than half of the time.
	took, hold := f.meanAbove(seconds(o.HoldSeconds*0.45)), seconds(o.HoldSeconds)
	switch {
	case math.Abs(admittedOff) <= predictionError && math.Abs(shedOff) <= predictionError:
		return passed(observed)
	case took > hold+hold/12:
		return unmeasured(observed, "answers that take %s took %s: the machine is too busy to tell", short(hold.Round(time.Millisecond)), short(took.Round(time.Millisecond)))
	case f.Unsent > f.Sent/50:
		return unmeasured(observed, "%d requests could not be sent", f.Unsent)
	}
	return failed(observed, "that is more than %.0f %% off", 100*predictionError)
}
