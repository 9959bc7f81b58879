package growth

import (
	"math"
	"testing"
	"time"
)

// passengers are series G of Box and Jenkins, "Time series analysis", 1970: thousands
// of international airline passengers by month, 1949 to 1960.
func passengers() []float64 {
	return []float64{
		112, 118, 132, 129, 121, 135, 148, 148, 136, 119, 104, 118,
		115, 126, 141, 135, 125, 149, 170, 170, 158, 133, 114, 140,
		145, 150, 178, 163, 172, 178, 199, 199, 184, 162, 146, 166,
		171, 180, 193, 181, 183, 218, 230, 242, 209, 191, 172, 194,
		196, 196, 236, 235, 229, 243, 264, 272, 237, 211, 180, 201,
		204, 188, 235, 227, 234, 264, 302, 293, 259, 229, 203, 229,
		242, 233, 267, 269, 270, 315, 364, 347, 312, 274, 237, 278,
		284, 277, 317, 313, 318, 374, 413, 405, 355, 306, 271, 306,
		315, 301, 356, 348, 355, 422, 465, 467, 404, 347, 305, 336,
		340, 318, 362, 348, 363, 435, 491, 505, 404, 359, 310, 337,
		360, 342, 406, 396, 420, 472, 548, 559, 463, 407, 362, 405,
		417, 391, 419, 461, 472, 535, 622, 606, 508, 461, 390, 432,
	}
}

func months(rates []float64) History {
	h := History{Rates: rates}
	for i := range rates {
		h.Times = append(h.Times, time.Date(1949, time.January+time.Month(i), 1, 0, 0, 0, 0, time.UTC))
	}
	return h
}

// TestPassengersTrend: the least-squares line through the logarithms has a slope of
// 0.12058 a year, by Σ(t − t̄)(y − ȳ) ÷ Σ(t − t̄)² over twelfths of years.
func TestPassengersTrend(t *testing.T) {
	p, err := months(passengers()).reduce()
	if err != nil {
		t.Fatal(err)
	}
	if len(p.at) != 144 || p.seasonal() != 1 {
		t.Fatalf("%d months with a season of %d, want 144 without one", len(p.at), p.seasonal())
	}
	m, err := fitShape(Exponential, p)
	if err != nil {
		t.Fatal(err)
	}
	got := m.growth(m.fit.Coefficients, month.Seconds()/p.unit.Seconds())
	if want := math.Expm1(0.12058 / 12); math.Abs(got-want) > 2e-5 {
		t.Errorf("%.5f a month, want %.5f", got, want)
	}
}

// TestPassengersForetold takes the years up to 1957 and asks for what came: 505 in
// August 1958, 559 in August 1959, 622 in July 1960.
func TestPassengersForetold(t *testing.T) {
	f := FromHistory(months(passengers()[:108]), Options{Seed: 1, HorizonDays: 4 * 365})
	if f.Shape != Exponential {
		t.Errorf("%s growth (%s)", f.Shape, f.Why)
	}
	for _, c := range []struct {
		limit float64
		month time.Time
	}{
		{500, time.Date(1958, time.August, 1, 0, 0, 0, 0, time.UTC)},
		{559, time.Date(1959, time.August, 1, 0, 0, 0, 0, time.UTC)},
		{600, time.Date(1960, time.July, 1, 0, 0, 0, 0, time.UTC)},
	} {
		r := f.Reaches(c.limit)
		low, high := f.Date(r.Days.Low), f.Date(r.Days.High)
		t.Logf("%.0f: %s, %s – %s", c.limit, f.Date(r.Days.Value).Format(time.DateOnly), low.Format(time.DateOnly), high.Format(time.DateOnly))
		if c.month.Before(low.AddDate(0, 0, -20)) || c.month.After(high.AddDate(0, 0, 20)) {
			t.Errorf("%.0f thousand from %s to %s, but it was %s", c.limit, low, high, c.month)
		}
	}
}
