package main

import (
	"context"
	"fmt"
	"net/http"
	"time"
)

// measureWorkload asks a user's workload until ctx or the duration ends; an error means that nothing was measured.
// A GET may be sent again when its connection was closed before any response (net/http does so by itself for a kept
// one, shouldRetryRequest in transport.go); a refused connection, a late answer and any status but 2xx are failures.
func measureWorkload(ctx context.Context, o options) (Outcome, error) {
	o.server = o.workload
	asker := freshCaller(o, &credentials{})
	asker.retryAfter = false
	ask := func(ctx context.Context) answer { return asker.do(ctx, http.MethodGet, "", nil) }
	if err := firstAnswer(ctx, o.startTimeout, ask); err != nil {
		return Outcome{}, fmt.Errorf("the workload at %s gave no good answer: %w", o.workload, err)
	}
	start := time.Now()
	reads := newStats(start)
	told := startProgress(o, map[string]*stats{"read": reads})
	running, stop := o.bounded(ctx)
	defer stop()
	stream{reads, o.readInterval, func(int, time.Time) answer { return ask(context.Background()) }}.run(running)
	found := Outcome{Run: o.run, Server: o.workload, Started: start, Ended: time.Now(), Read: reads.snapshot()}
	found.Clean = found.Read.good()
	found.Summary = "requests " + line(found.Read)
	told.end()
	return found, nil
}
