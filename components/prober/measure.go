package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"
)

// runLabel marks the objects of one run.
const runLabel = "multimaster.test/prober-run"

const (
	pageSize     = 500             // objects a list asks for at once, client-go's page size
	removers     = 16              // deletes on their way at once, on the one kept connection
	watchCatchUp = 5 * time.Second // how long the watch may still need after the last write
)

// Result is what a measurement of the API found.
type Result struct {
	Outcome
	Write     Stream   `json:"write"`
	Watch     Watch    `json:"watch"`
	ReadBack  ReadBack `json:"read_back"`
	LeftOver  bool     `json:"left_over"`
	EndErrors []string `json:"end_errors"`
}

// Watch is the watch's stream: sent counts the acknowledged writes it had to see, failed those it missed,
// retried how often it was opened again; latencies run from a write's start to its event.
type Watch struct {
	Stream
	Refused    int `json:"refused"`
	Relisted   int `json:"relisted"`
	Duplicated int `json:"duplicated"`
}

// ReadBack is what was left of the acknowledged writes at the end.
type ReadBack struct {
	Done         bool  `json:"done"`
	Acknowledged int   `json:"acknowledged"`
	Lost         int   `json:"lost"`
	FirstLost    []int `json:"first_lost"`
	Unconfirmed  int   `json:"unconfirmed"` // failed writes that had been done all the same
}

// object is the part of a ConfigMap that is looked at.
type object struct {
	Metadata struct {
		Name            string            `json:"name"`
		Labels          map[string]string `json:"labels,omitempty"`
		ResourceVersion string            `json:"resourceVersion,omitempty"`
	} `json:"metadata"`
	Data map[string]string `json:"data,omitempty"`
}

type list struct {
	Metadata struct {
		ResourceVersion string `json:"resourceVersion"`
		Continue        string `json:"continue"`
	} `json:"metadata"`
	Items []object `json:"items"`
}

// measurement is one run of the three streams.
type measurement struct {
	options
	fresh, kept        *caller
	read, write, watch *stats
	watcher            *watcher

	mutex        sync.Mutex
	begun        map[int]time.Time // when each write was sent
	acknowledged map[int]bool
}

func (m *measurement) folder() string {
	return "/api/v1/namespaces/" + url.PathEscape(m.namespace) + "/configmaps"
}

func (m *measurement) name(number int) string { return fmt.Sprintf("prober-%s-%06d", m.run, number) }

// number is the number in an object's name, or -1 for a name that is not of this run.
func (m *measurement) number(name string) int {
	digits, found := strings.CutPrefix(name, "prober-"+m.run+"-")
	number, err := strconv.Atoi(digits)
	if !found || err != nil {
		return -1
	}
	return number
}

func (m *measurement) configMap(number int) []byte {
	text, _ := json.Marshal(map[string]any{
		"apiVersion": "v1", "kind": "ConfigMap",
		"metadata": map[string]any{"name": m.name(number), "labels": map[string]string{runLabel: m.run}},
		"data":     map[string]string{"number": strconv.Itoa(number)},
	})
	return text
}

// selected is the folder narrowed to this run's objects, with more parameters.
func (m *measurement) selected(parameters ...string) string {
	query := url.Values{"labelSelector": {runLabel + "=" + m.run}}
	for i := 0; i+1 < len(parameters); i += 2 {
		query.Set(parameters[i], parameters[i+1])
	}
	return m.folder() + "?" + query.Encode()
}

// measure runs the streams until ctx or the duration ends; an error means that nothing was measured.
func measure(ctx context.Context, o options) (Result, error) {
	who, err := newCredentials(o)
	if err != nil {
		return Result{}, err
	}
	m := &measurement{options: o, fresh: freshCaller(o, who), kept: keptCaller(o, who),
		begun: map[int]time.Time{}, acknowledged: map[int]bool{}}
	if err := m.anchor(ctx); err != nil {
		return Result{}, err
	}
	start := time.Now()
	m.read, m.write, m.watch = newStats(start), newStats(start), newStats(start)
	m.watcher = newWatcher(m)
	if err := m.watcher.list(ctx); err != nil {
		return Result{}, fmt.Errorf("the first list failed: %w", err)
	}
	watching, unwatch := context.WithCancel(context.Background())
	defer unwatch()
	watchDone := make(chan struct{})
	go func() { m.watcher.run(watching); close(watchDone) }()
	told := startProgress(o, map[string]*stats{"read": m.read, "write": m.write})
	running, stop := o.bounded(ctx)
	defer stop()
	var streams sync.WaitGroup
	streams.Go(func() { stream{m.read, o.readInterval, m.oneRead}.run(running) })
	streams.Go(func() { stream{m.write, o.writeInterval, m.oneWrite}.run(running) })
	streams.Wait()
	told.enter("reading back")
	m.awaitWatch()
	unwatch()
	<-watchDone
	result := m.finish()
	result.Started, result.Ended = start, time.Now()
	told.end()
	return result, nil
}

// anchor makes object 0, the one that is read; the API must answer within the start timeout.
func (m *measurement) anchor(ctx context.Context) error {
	err := firstAnswer(ctx, m.startTimeout, func(ctx context.Context) answer {
		return m.kept.do(ctx, http.MethodPost, m.folder(), m.configMap(0))
	})
	if err != nil {
		return fmt.Errorf("no ConfigMap could be made in namespace %s at %s: %w", m.namespace, m.server, err)
	}
	return nil
}

func (m *measurement) oneRead(int, time.Time) answer {
	a := m.fresh.do(context.Background(), http.MethodGet, m.folder()+"/"+m.name(0), nil)
	if a.err == nil {
		var found object
		if err := json.Unmarshal(a.body, &found); err != nil || found.Data["number"] != "0" {
			a.err = errors.New("a 2xx answer without the object that was asked for")
		}
	}
	return a
}

func (m *measurement) oneWrite(number int, begin time.Time) answer {
	m.mutex.Lock()
	m.begun[number] = begin
	m.mutex.Unlock()
	a := m.kept.do(context.Background(), http.MethodPost, m.folder(), m.configMap(number))
	if a.err == nil {
		m.mutex.Lock()
		m.acknowledged[number] = true
		m.mutex.Unlock()
	}
	return a
}

// awaitWatch gives the watch a moment to see the last writes.
func (m *measurement) awaitWatch() {
	for deadline := time.Now().Add(watchCatchUp); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		if len(m.unseen()) == 0 {
			return
		}
	}
}

// unseen are the acknowledged writes the watch has not told of.
func (m *measurement) unseen() []int {
	m.mutex.Lock()
	defer m.mutex.Unlock()
	var missing []int
	for number := range m.acknowledged {
		if !m.watcher.saw(number) {
			missing = append(missing, number)
		}
	}
	return missing
}
