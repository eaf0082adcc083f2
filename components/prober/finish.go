package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"time"
)

// finish reads everything back, deletes it unless it is to be kept, and puts the result together.
func (m *measurement) finish() Result {
	result := Result{Outcome: Outcome{Run: m.run, Server: m.server}, EndErrors: []string{}, ReadBack: ReadBack{FirstLost: []int{}}}
	ctx, cancel := context.WithTimeout(context.Background(), m.endTimeout)
	defer cancel()
	patient := *m.kept
	patient.timeout = m.endTimeout

	present, err := m.readBack(ctx, &patient)
	result.ReadBack.Acknowledged = len(m.acknowledged)
	if err != nil {
		result.EndErrors = append(result.EndErrors, "read back: "+err.Error())
	} else {
		result.ReadBack.Done = true
		m.compare(present, &result.ReadBack)
	}
	if m.keep {
		result.LeftOver = len(m.acknowledged) > 0
	} else if err := m.remove(ctx, &patient); err != nil {
		result.LeftOver = true
		result.EndErrors = append(result.EndErrors, "delete: "+err.Error())
	}

	missed := m.unseen()
	slices.Sort(missed)
	for _, number := range missed {
		m.watch.failed(m.begun[number], number, "acknowledged, but no event came")
	}
	result.Read, result.Write = m.read.snapshot(), m.write.snapshot()
	result.Watch = Watch{Stream: m.watch.snapshot(), Refused: m.watcher.refused,
		Relisted: m.watcher.relisted, Duplicated: m.watcher.duplicated}
	result.Watch.Sent = len(m.acknowledged)
	result.Watch.Retried = max(0, m.watcher.opened-1)
	m.judge(&result)
	return result
}

// readBack lists the numbers that are there; it tries again until ctx ends.
func (m *measurement) readBack(ctx context.Context, c *caller) (map[int]bool, error) {
	for {
		present, err := m.listNumbers(ctx, c)
		if err == nil {
			return present, nil
		}
		select {
		case <-time.After(startRetry):
		case <-ctx.Done():
			return nil, err
		}
	}
}

func (m *measurement) listNumbers(ctx context.Context, c *caller) (map[int]bool, error) {
	present := map[int]bool{}
	for next := ""; ; {
		a := c.do(ctx, http.MethodGet, m.selected("limit", strconv.Itoa(pageSize), "continue", next), nil)
		if a.err != nil {
			return nil, a.err
		}
		var page list
		if err := json.Unmarshal(a.body, &page); err != nil {
			return nil, fmt.Errorf("the list is no JSON: %w", err)
		}
		for _, item := range page.Items {
			number := m.number(item.Metadata.Name)
			if item.Data["number"] == strconv.Itoa(number) {
				present[number] = true
			}
		}
		if next = page.Metadata.Continue; next == "" {
			return present, nil
		}
	}
}

// compare counts what was acknowledged and is gone, and what failed and is there.
func (m *measurement) compare(present map[int]bool, found *ReadBack) {
	for number := range m.begun {
		switch {
		case m.acknowledged[number] && !present[number]:
			found.Lost++
			found.FirstLost = append(found.FirstLost, number)
		case !m.acknowledged[number] && present[number]:
			found.Unconfirmed++
		}
	}
	slices.Sort(found.FirstLost)
	found.FirstLost = found.FirstLost[:min(len(found.FirstLost), keptErrors)]
}

// remove deletes the run's objects until none is left.
func (m *measurement) remove(ctx context.Context, c *caller) error {
	for {
		left, err := m.listNumbers(ctx, c)
		if err != nil || len(left) == 0 {
			return err
		}
		if err := m.removeEach(ctx, c, left); err != nil {
			return err
		}
	}
}

// removeEach deletes these objects, many at a time, and returns the first error. An API server deletes a collection one object
// after the other, and waits for etcd each time: ten thousand took it a hundred seconds.
func (m *measurement) removeEach(ctx context.Context, c *caller, numbers map[int]bool) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	queue := make(chan int)
	var workers sync.WaitGroup
	for range removers {
		workers.Go(func() {
			for number := range queue {
				a := c.do(ctx, http.MethodDelete, m.folder()+"/"+m.name(number), nil)
				if a.err != nil && a.status != http.StatusNotFound {
					cancel(a.err)
				}
			}
		})
	}
	for number := range numbers {
		queue <- number
	}
	close(queue)
	workers.Wait()
	return context.Cause(ctx)
}

// judge says whether everything went well; what is not known counts as bad.
func (m *measurement) judge(r *Result) {
	r.Clean = r.Read.good() && r.Write.good() && r.Watch.Failed == 0 && r.ReadBack.Done && r.ReadBack.Lost == 0
	lost := "not known"
	if r.ReadBack.Done {
		lost = strconv.Itoa(r.ReadBack.Lost)
	}
	r.Summary = fmt.Sprintf("reads %s; writes %s, %s lost; watch %d events, %d missed, %d resumed",
		line(r.Read), line(r.Write), lost, r.Watch.Sent-r.Watch.Failed, r.Watch.Failed, r.Watch.Retried)
}

// good says whether a stream measured something and all of it was answered well.
func (s Stream) good() bool { return s.Sent > 0 && s.Failed == 0 }

func line(s Stream) string {
	return fmt.Sprintf("%d sent, %d failed, %d retried, longest gap %.0f ms, p95 %.0f ms",
		s.Sent, s.Failed, s.Retried, s.LongestGapMs, s.P95Ms)
}
