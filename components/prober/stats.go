package main

import (
	"slices"
	"sync"
	"time"
)

// keptErrors is how many of a stream's errors are told in full; the first ones say the cause.
const keptErrors = 10

// Failures that follow each other within burstGap are one burst; keptBursts of them are told. Who judges them by their
// time counts them: what failed and is in none of them was later.
const (
	burstGap   = time.Second
	keptBursts = 500
)

// A gap of toldGap and more is told with its beginning, so that the longest one, which may have its reason, hides no other.
const toldGap = 3 * time.Second

// failure is one request that failed.
type failure struct {
	At     time.Time `json:"at"`
	Number int       `json:"number"`
	Error  string    `json:"error"`
}

// burst is a time in which requests failed.
type burst struct {
	From   time.Time `json:"from"`
	To     time.Time `json:"to"`
	Failed int       `json:"failed"`
}

// gap is a time without a success.
type gap struct {
	From time.Time `json:"from"`
	Ms   float64   `json:"ms"`
}

// Stream is what one stream measured. A gap is the time between two successes that follow each other.
type Stream struct {
	Sent         int        `json:"sent"`
	Failed       int        `json:"failed"`
	Retried      int        `json:"retried"`
	LongestGapMs float64    `json:"longest_gap_ms"`
	LongestGapAt *time.Time `json:"longest_gap_at"`
	P50Ms        float64    `json:"p50_ms"`
	P95Ms        float64    `json:"p95_ms"`
	MaxMs        float64    `json:"max_ms"`
	Gaps         []gap      `json:"gaps"`
	FirstErrors  []failure  `json:"first_errors"`
	Bursts       []burst    `json:"bursts"`
}

// stats collects a stream's figures from many goroutines.
type stats struct {
	mutex     sync.Mutex
	stream    Stream
	last      time.Time
	latencies []float32
}

func newStats(start time.Time) *stats {
	return &stats{last: start, stream: Stream{Gaps: []gap{}, FirstErrors: []failure{}, Bursts: []burst{}}}
}

func (s *stats) sent() {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	s.stream.Sent++
}

func (s *stats) retried(n int) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	s.stream.Retried += n
}

func (s *stats) succeeded(at time.Time, latency time.Duration) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	s.gap(at)
	s.latencies = append(s.latencies, float32(milliseconds(latency)))
}

// gap notes the time since the last success; the caller holds the lock.
func (s *stats) gap(at time.Time) {
	if ms := milliseconds(at.Sub(s.last)); ms > s.stream.LongestGapMs {
		began := s.last
		s.stream.LongestGapMs, s.stream.LongestGapAt = ms, &began
	}
	if at.Sub(s.last) >= toldGap {
		s.stream.Gaps = append(s.stream.Gaps, gap{From: s.last, Ms: round(milliseconds(at.Sub(s.last)))})
	}
	if at.After(s.last) {
		s.last = at
	}
}

func (s *stats) failed(at time.Time, number int, reason string) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	s.stream.Failed++
	if s.stream.Failed <= keptErrors {
		s.stream.FirstErrors = append(s.stream.FirstErrors, failure{At: at, Number: number, Error: reason})
	}
	if last := len(s.stream.Bursts) - 1; last >= 0 && at.Sub(s.stream.Bursts[last].To) < burstGap {
		s.stream.Bursts[last].To = at
		s.stream.Bursts[last].Failed++
	} else if last+1 < keptBursts {
		s.stream.Bursts = append(s.stream.Bursts, burst{From: at, To: at, Failed: 1})
	}
}

// close counts the time from the last success to the stream's end: an outage at the end is a gap too.
func (s *stats) close(at time.Time) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	s.gap(at)
}

func (s *stats) snapshot() Stream {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	result := s.stream
	result.FirstErrors, result.Bursts, result.Gaps = slices.Clone(result.FirstErrors), slices.Clone(result.Bursts), slices.Clone(result.Gaps)
	sorted := slices.Sorted(slices.Values(s.latencies))
	result.P50Ms, result.P95Ms, result.MaxMs = quantile(sorted, 0.50), quantile(sorted, 0.95), quantile(sorted, 1)
	result.LongestGapMs = round(result.LongestGapMs)
	return result
}

// counts are the figures that cost nothing to read, for the progress file.
func (s *stats) counts() map[string]int {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	return map[string]int{"sent": s.stream.Sent, "failed": s.stream.Failed, "retried": s.stream.Retried}
}

// quantile is the smallest value that at least the share q of the sorted values does not exceed; 0 of none.
func quantile(sorted []float32, q float64) float64 {
	if len(sorted) == 0 {
		return 0
	}
	index := int(q*float64(len(sorted))+0.999999) - 1
	return round(float64(sorted[min(max(index, 0), len(sorted)-1)]))
}

func milliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

// round keeps a tenth of a millisecond.
func round(ms float64) float64 { return float64(int64(ms*10+0.5)) / 10 }
