package main

import (
	"context"
	"encoding/json"
	"fmt"
	"sync"
	"time"
)

const (
	progressInterval = time.Second
	startRetry       = 200 * time.Millisecond
)

// Outcome is what every measurement finds: its times, its verdict and its read stream.
type Outcome struct {
	Run     string    `json:"run"`
	Server  string    `json:"server"`
	Started time.Time `json:"started"`
	Ended   time.Time `json:"ended"`
	Clean   bool      `json:"clean"`
	Summary string    `json:"summary"`
	Read    Stream    `json:"read"`
}

func (o Outcome) verdict() (bool, string) { return o.Clean, o.Summary }

// stream sends one kind of request and collects what became of each.
type stream struct {
	stats    *stats
	interval time.Duration
	one      func(number int, begin time.Time) answer
}

// run starts one request per interval, whether or not the earlier ones have ended: a hanging server is asked as
// often as a good one. When ctx ends it waits for those that are under way.
func (s stream) run(ctx context.Context) {
	var requests sync.WaitGroup
	ticker := time.NewTicker(s.interval)
	defer ticker.Stop()
	for number := 1; ctx.Err() == nil; number++ {
		select {
		case <-ctx.Done():
		case <-ticker.C:
			requests.Go(func() { s.send(number) })
		}
	}
	requests.Wait()
	s.stats.close(time.Now())
}

func (s stream) send(number int) {
	s.stats.sent()
	begin := time.Now()
	a := s.one(number, begin)
	s.stats.retried(a.retries)
	now := time.Now()
	if a.err != nil {
		s.stats.failed(now, number, a.err.Error())
		return
	}
	s.stats.succeeded(now, now.Sub(begin))
}

// bounded ends with ctx or after the duration that was asked for.
func (o options) bounded(ctx context.Context) (context.Context, context.CancelFunc) {
	if o.duration > 0 {
		return context.WithTimeout(ctx, o.duration)
	}
	return context.WithCancel(ctx)
}

// firstAnswer asks until a request succeeds; an error means that none did in time.
func firstAnswer(ctx context.Context, within time.Duration, ask func(context.Context) answer) error {
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	for {
		a := ask(ctx)
		if a.err == nil {
			return nil
		}
		select {
		case <-time.After(startRetry):
		case <-ctx.Done():
			return fmt.Errorf("not within %s: %w", within, a.err)
		}
	}
}

// progress tells in a file how far a measurement is, for those who wait for it.
type progress struct {
	path, run string
	streams   map[string]*stats
	quit      context.CancelFunc
	ended     chan struct{}

	mutex sync.Mutex
	phase string
}

// startProgress rewrites the progress file every second from now on; the phase is "running".
func startProgress(o options, streams map[string]*stats) *progress {
	ctx, quit := context.WithCancel(context.Background())
	p := &progress{path: o.progress, run: o.run, streams: streams, quit: quit, ended: make(chan struct{})}
	p.enter("running")
	go func() {
		defer close(p.ended)
		ticker := time.NewTicker(progressInterval)
		defer ticker.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-ticker.C:
				p.write()
			}
		}
	}()
	return p
}

func (p *progress) enter(phase string) {
	p.mutex.Lock()
	p.phase = phase
	p.mutex.Unlock()
	p.write()
}

// end stops the rewriting and tells that the measurement is done.
func (p *progress) end() {
	p.quit()
	<-p.ended
	p.enter("done")
}

func (p *progress) write() {
	if p.path == "" {
		return
	}
	p.mutex.Lock()
	defer p.mutex.Unlock()
	told := map[string]any{"run": p.run, "phase": p.phase, "at": time.Now()}
	for name, s := range p.streams {
		told[name] = s.counts()
	}
	text, _ := json.Marshal(told)
	_ = replace(p.path, append(text, '\n'))
}
