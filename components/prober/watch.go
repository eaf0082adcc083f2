package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"sync"
	"time"
)

// client-go's reflector waits 800 ms after a watch that could not be opened, doubling (reflector.go); the cap
// here is lower than its 30 s, so that the watch is back before a measurement ends.
const (
	watchBackoff    = 800 * time.Millisecond
	watchBackoffMax = 5 * time.Second
	watchPeriod     = 5 * time.Minute // timeoutSeconds; the reflector takes 5 to 10 minutes
)

// errExpired means that the server no longer has the history from our resource version on (410).
var errExpired = errors.New("the resource version is too old")

// watcher follows the objects of a run and remembers which ones it saw.
type watcher struct {
	m       *measurement
	version string // where to go on from
	opened  int
	refused int

	mutex      sync.Mutex
	seen       map[int]bool
	relisted   int
	duplicated int
}

func newWatcher(m *measurement) *watcher { return &watcher{m: m, seen: map[int]bool{}} }

func (w *watcher) saw(number int) bool {
	w.mutex.Lock()
	defer w.mutex.Unlock()
	return w.seen[number]
}

// list reads the objects there are and the version to watch from; the reflector's informer counts them as seen.
func (w *watcher) list(ctx context.Context) error {
	for next := ""; ; {
		a := w.m.kept.do(ctx, http.MethodGet, w.m.selected("limit", strconv.Itoa(pageSize), "continue", next), nil)
		if a.err != nil {
			return a.err
		}
		var page list
		if err := json.Unmarshal(a.body, &page); err != nil {
			return fmt.Errorf("the list is no JSON: %w", err)
		}
		for _, item := range page.Items {
			w.note(item, true)
		}
		w.version, next = page.Metadata.ResourceVersion, page.Metadata.Continue
		if next == "" {
			return nil
		}
	}
}

// run watches until ctx ends: a stream that ends is resumed from the last version seen, at once; one that
// cannot be opened after a growing wait; an expired version starts from a new list.
func (w *watcher) run(ctx context.Context) {
	backoff := watchBackoff
	for ctx.Err() == nil {
		err := w.follow(ctx)
		if ctx.Err() != nil {
			return
		}
		if errors.Is(err, errExpired) {
			w.mutex.Lock()
			w.relisted++
			w.mutex.Unlock()
			err = w.list(ctx)
		}
		if err == nil {
			backoff = watchBackoff
			continue
		}
		w.refused++
		select {
		case <-time.After(backoff):
		case <-ctx.Done():
		}
		backoff = min(2*backoff, watchBackoffMax)
	}
}

// follow reads one watch stream to its end; an error means that it could not be opened or has expired.
func (w *watcher) follow(ctx context.Context) error {
	w.opened++
	path := w.m.selected("watch", "true", "allowWatchBookmarks", "true", "resourceVersion", w.version,
		"timeoutSeconds", strconv.Itoa(int(watchPeriod.Seconds())))
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, w.m.server+path, nil)
	if err != nil {
		return err
	}
	request.Header.Set("Accept", "application/json")
	w.m.kept.credentials.sign(request)
	response, err := w.m.kept.client.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if response.StatusCode == http.StatusGone {
		return errExpired
	}
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("HTTP %d", response.StatusCode)
	}
	for decoder := json.NewDecoder(response.Body); ; {
		var event struct {
			Type   string          `json:"type"`
			Object json.RawMessage `json:"object"`
		}
		if decoder.Decode(&event) != nil {
			return nil // ended or cut: resume
		}
		if event.Type == "ERROR" {
			var status struct{ Code int }
			_ = json.Unmarshal(event.Object, &status)
			if status.Code == http.StatusGone {
				return errExpired
			}
			return fmt.Errorf("the watch ended with status %d", status.Code)
		}
		var item object
		if json.Unmarshal(event.Object, &item) != nil {
			return nil
		}
		if event.Type == "ADDED" {
			w.note(item, false)
		}
		if item.Metadata.ResourceVersion != "" {
			w.version = item.Metadata.ResourceVersion
		}
	}
}

// note remembers an object; what a list repeats is no duplicate.
func (w *watcher) note(item object, listed bool) {
	number := w.m.number(item.Metadata.Name)
	if number < 0 {
		return
	}
	now := time.Now()
	w.mutex.Lock()
	again := w.seen[number]
	w.seen[number] = true
	if again && !listed {
		w.duplicated++
	}
	w.mutex.Unlock()
	if again || number == 0 {
		return
	}
	w.m.mutex.Lock()
	begin, ours := w.m.begun[number]
	w.m.mutex.Unlock()
	if ours {
		w.m.watch.succeeded(now, now.Sub(begin))
	}
}
