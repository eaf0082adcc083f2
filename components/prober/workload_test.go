package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// fakeWorkload answers over plain HTTP as handle says; number counts the requests from 0, the one that waits for the start.
func fakeWorkload(t *testing.T, handle func(w http.ResponseWriter, number int)) *httptest.Server {
	t.Helper()
	var requests atomic.Int32
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet || r.URL.Path != "/hostname" || r.Header.Get("Authorization") != "" {
			t.Errorf("asked for %s %s with %v", r.Method, r.URL.Path, r.Header)
		}
		handle(w, int(requests.Add(1))-1)
	}))
	t.Cleanup(func() { server.CloseClientConnections(); server.Close() })
	return server
}

func answerWell(w http.ResponseWriter, _ int) { fmt.Fprint(w, "web-1") }

// breakOff closes a plain connection without a byte of response.
func breakOff(w http.ResponseWriter) {
	c, _, _ := w.(http.Hijacker).Hijack()
	c.Close()
}

func workloadOptions(url string) options {
	return options{workload: url + "/hostname", run: "t", readInterval: 10 * time.Millisecond, writeInterval: time.Second,
		timeout: 5 * time.Second, patience: 12 * time.Second, duration: 300 * time.Millisecond, startTimeout: time.Second}
}

func TestAWorkloadThatAnswersIsCleanOverNewConnections(t *testing.T) {
	t.Parallel()
	var mutex sync.Mutex
	opened := 0
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { answerWell(w, 0) }))
	server.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		mutex.Lock()
		defer mutex.Unlock()
		if state == http.StateNew {
			opened++
		}
	}
	server.Start()
	defer server.Close()
	r, err := measureWorkload(context.Background(), workloadOptions(server.URL))
	if err != nil || !r.Clean || r.Read.Failed+r.Read.Retried != 0 || r.Read.Sent < 10 || r.Read.P50Ms <= 0 {
		t.Fatalf("not clean: %v, %+v", err, r)
	}
	mutex.Lock()
	defer mutex.Unlock()
	if opened != r.Read.Sent+1 { // one more waited for the start
		t.Errorf("%d connections for %d requests", opened, r.Read.Sent)
	}
}

func TestWhatAWorkloadMayAndMayNotAnswer(t *testing.T) {
	t.Parallel()
	status := func(code int) func(http.ResponseWriter) {
		return func(w http.ResponseWriter) { w.Header().Set("Retry-After", "0"); w.WriteHeader(code) }
	}
	for name, c := range map[string]struct {
		misbehave func(http.ResponseWriter)
		requests  []int // which ones misbehave
		retried   int
		fails     string
	}{
		"204 is success": {misbehave: status(http.StatusNoContent), requests: []int{5}},
		"a connection closed before any response is retried once": {misbehave: breakOff, requests: []int{5}, retried: 1},
		"500 fails": {misbehave: status(http.StatusInternalServerError), requests: []int{5}, fails: "HTTP 500"},
		"429 with Retry-After fails: no user's client waits by itself": {misbehave: status(http.StatusTooManyRequests), requests: []int{5}, fails: "HTTP 429"},
		"304 is no 2xx": {misbehave: status(http.StatusNotModified), requests: []int{5}, fails: "HTTP 304"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := fakeWorkload(t, func(w http.ResponseWriter, number int) {
				if slices.Contains(c.requests, number) {
					c.misbehave(w)
					return
				}
				answerWell(w, number)
			})
			r, err := measureWorkload(context.Background(), workloadOptions(server.URL))
			if err != nil {
				t.Fatal(err)
			}
			failed := len(c.requests)
			if c.fails == "" {
				failed = 0
			}
			if r.Read.Failed != failed || r.Read.Retried != c.retried || r.Clean != (failed == 0) {
				t.Errorf("got %+v", r.Read)
			}
			if failed > 0 && !strings.Contains(r.Read.FirstErrors[0].Error, c.fails) {
				t.Errorf("got error %q, want one with %q", r.Read.FirstErrors[0].Error, c.fails)
			}
		})
	}
}

func TestAConnectionClosedAgainOnItsRetryFails(t *testing.T) {
	t.Parallel()
	server := fakeWorkload(t, func(w http.ResponseWriter, number int) {
		if number > 0 {
			breakOff(w)
			return
		}
		answerWell(w, number)
	})
	r, err := measureWorkload(context.Background(), workloadOptions(server.URL))
	if err != nil || r.Clean || r.Read.Failed != r.Read.Sent || r.Read.Retried != r.Read.Sent || len(r.Read.Bursts) != 1 {
		t.Errorf("got %v, %+v", err, r.Read)
	}
}

// The negative control: a prober that cannot see a death proves nothing.
func TestAWorkloadThatDiesIsCounted(t *testing.T) {
	t.Parallel()
	server := fakeWorkload(t, answerWell)
	o := workloadOptions(server.URL)
	o.duration = 700 * time.Millisecond
	time.AfterFunc(300*time.Millisecond, func() { server.Listener.Close() })
	r, err := measureWorkload(context.Background(), o)
	if err != nil || r.Clean || r.Read.Failed < 10 || r.Read.LongestGapMs < 300 {
		t.Errorf("the death was not counted: %v, %s", err, r.Summary)
	}
}

func TestAWorkloadThatHangsIsAskedOnAndFailsAtTheTimeout(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	server := fakeWorkload(t, func(w http.ResponseWriter, number int) {
		if number > 0 {
			<-release
		}
	})
	defer close(release)
	o := workloadOptions(server.URL)
	o.timeout = 100 * time.Millisecond
	r, err := measureWorkload(context.Background(), o)
	if err != nil || r.Read.Sent < 10 || r.Read.Failed != r.Read.Sent || r.Read.Retried != 0 {
		t.Errorf("got %v, %+v", err, r.Read)
	}
}

func TestAWorkloadsResultIsJSONAndASignalEndsIt(t *testing.T) {
	t.Parallel()
	server := fakeWorkload(t, answerWell)
	progress, result := filepath.Join(t.TempDir(), "progress.json"), filepath.Join(t.TempDir(), "result.json")
	ctx, stop := context.WithCancel(context.Background())
	time.AfterFunc(300*time.Millisecond, stop) // stands for SIGTERM
	var stdout, stderr bytes.Buffer
	status := execute(ctx, []string{"--workload", server.URL + "/hostname", "--progress", progress, "--result", result}, &stdout, &stderr)
	if status != exitClean || strings.Count(stderr.String(), "\n") != 1 {
		t.Fatalf("status %d: %q", status, stderr.String())
	}
	var read map[string]any
	text, _ := os.ReadFile(result)
	if err := json.Unmarshal(text, &read); err != nil || read["clean"] != true || read["summary"] == "" {
		t.Errorf("%v: %s", err, text)
	}
	stream, _ := read["read"].(map[string]any)
	for _, key := range []string{"sent", "failed", "retried", "longest_gap_ms", "longest_gap_at", "gaps", "first_errors", "bursts"} {
		if _, found := stream[key]; !found {
			t.Errorf("the read stream has no %s", key)
		}
	}
	for _, key := range []string{"write", "watch", "read_back"} {
		if _, found := read[key]; found {
			t.Errorf("%s was not measured, yet the result has it", key)
		}
	}
	if text, _ = os.ReadFile(progress); !bytes.Contains(text, []byte(`"phase":"done"`)) {
		t.Errorf("progress: %s", text)
	}
}

func TestAWorkloadThatNeverAnsweredIsNotMeasured(t *testing.T) {
	t.Parallel()
	server := fakeWorkload(t, func(w http.ResponseWriter, _ int) { w.WriteHeader(http.StatusServiceUnavailable) })
	var stdout, stderr bytes.Buffer
	status := execute(context.Background(), []string{"--workload", server.URL + "/hostname", "--start-timeout", "3s"}, &stdout, &stderr)
	if status != exitNothing || stdout.Len() != 0 || !strings.Contains(stderr.String(), "HTTP 503") {
		t.Errorf("got status %d, %q, %q", status, stdout.String(), stderr.String())
	}
}

func TestAWorkloadsArgumentsThatMakeNoSenseAreRefused(t *testing.T) {
	t.Parallel()
	good := []string{"--workload", "http://192.0.2.20/hostname"}
	if o, err := parse(good); err != nil || o.timeout != 5*time.Second {
		t.Errorf("%v, a timeout of %s", err, o.timeout)
	}
	for name, arguments := range map[string][]string{
		"no URL":         {"--workload", "web.example"},
		"no host":        {"--workload", "http:///hostname"},
		"another scheme": {"--workload", "ftp://192.0.2.20/"},
		"an API too":     append(slices.Clone(good), "--server", "https://a"),
		"a certificate":  append(slices.Clone(good), "--cert", "c", "--key", "d"),
		"a pod too":      append(slices.Clone(good), "--in-pod"),
		"no interval":    append(slices.Clone(good), "--read-interval", "0s"),
	} {
		if _, err := parse(arguments); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}
