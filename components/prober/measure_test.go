package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

func run(t *testing.T, o options) Result {
	t.Helper()
	result, err := measure(context.Background(), o)
	if err != nil {
		t.Fatal(err)
	}
	return result
}

func TestAHealthyServerIsCleanAndLeftClean(t *testing.T) {
	t.Parallel()
	f := newFakeAPI(t)
	r := run(t, f.options(t))
	if !r.Clean || r.Read.Failed+r.Write.Failed+r.Watch.Failed+r.Read.Retried+r.Write.Retried != 0 {
		t.Errorf("not clean: %s %v", r.Summary, r.EndErrors)
	}
	if r.Read.Sent < 10 || r.Write.Sent < 10 || r.ReadBack.Acknowledged != r.Write.Sent || r.Watch.Sent != r.Write.Sent {
		t.Errorf("too little was measured: %+v", r)
	}
	if r.Read.P50Ms <= 0 || r.Read.P95Ms < r.Read.P50Ms || r.Read.MaxMs < r.Read.P95Ms || r.Read.LongestGapAt == nil {
		t.Errorf("figures out of order: %+v", r.Read)
	}
	if len(f.objects) != 0 || r.LeftOver {
		t.Errorf("%d objects were left", len(f.objects))
	}
}

func TestWhatIsToBeKeptIsReadBackAndLeft(t *testing.T) {
	t.Parallel()
	f := newFakeAPI(t)
	o := f.options(t)
	o.keep = true
	r := run(t, o)
	if !r.Clean || !r.ReadBack.Done || len(r.EndErrors) > 0 {
		t.Errorf("not clean: %s %v", r.Summary, r.EndErrors)
	}
	if !r.LeftOver || r.ReadBack.Acknowledged == 0 || len(f.objects) < r.ReadBack.Acknowledged {
		t.Errorf("%d of %d objects were left", len(f.objects), r.ReadBack.Acknowledged)
	}
}

// The negative control: a prober that cannot see a death proves nothing.
func TestAServerThatDiesIsCounted(t *testing.T) {
	t.Parallel()
	f := newFakeAPI(t)
	o := f.options(t)
	o.duration = 900 * time.Millisecond
	time.AfterFunc(400*time.Millisecond, func() { f.Listener.Close(); f.CloseClientConnections() })
	r := run(t, o)
	if r.Clean || r.Read.Failed < 10 || r.Write.Failed < 10 {
		t.Errorf("the death was not counted: %s", r.Summary)
	}
	if r.Read.LongestGapMs < 400 || r.Write.LongestGapMs < 400 {
		t.Errorf("the gap up to the end was not counted: %s", r.Summary)
	}
	if r.ReadBack.Done || !r.LeftOver || len(r.EndErrors) == 0 {
		t.Errorf("lost writes are not known, and this was not said: %+v", r)
	}
	if len(r.Read.FirstErrors) != keptErrors || r.Read.FirstErrors[0].Error == "" {
		t.Errorf("the first errors are missing: %+v", r.Read.FirstErrors)
	}
}

func TestAnOutageInTheMiddleIsAGap(t *testing.T) {
	t.Parallel()
	f := newFakeAPI(t)
	o := f.options(t)
	o.duration = 900 * time.Millisecond
	begin := time.Now()
	f.misbehave = func(w http.ResponseWriter, r *http.Request) bool {
		since := time.Since(begin)
		if since < 300*time.Millisecond || since > 600*time.Millisecond || r.Method != http.MethodGet {
			return false
		}
		w.WriteHeader(http.StatusInternalServerError)
		return true
	}
	r := run(t, o)
	if r.Read.Failed == 0 || r.Read.LongestGapMs < 250 || r.Read.LongestGapMs > 700 || r.Write.Failed != 0 {
		t.Errorf("the outage of 300 ms was measured as %+v", r.Read)
	}
}

func TestALostWriteIsFound(t *testing.T) {
	t.Parallel()
	f := newFakeAPI(t)
	f.forget = func(name string) bool { return strings.HasSuffix(name, "-000003") }
	r := run(t, f.options(t))
	if r.Clean || r.ReadBack.Lost != 1 || fmt.Sprint(r.ReadBack.FirstLost) != "[3]" || r.Write.Failed != 0 {
		t.Errorf("the lost write 3 was measured as %+v", r.ReadBack)
	}
}

func TestAMissedWatchEventIsFound(t *testing.T) {
	t.Parallel()
	f := newFakeAPI(t)
	f.hide = func(name string) bool { return strings.HasSuffix(name, "-000004") }
	r := run(t, f.options(t))
	if r.Clean || r.Watch.Failed != 1 || r.Watch.FirstErrors[0].Number != 4 || r.ReadBack.Lost != 0 {
		t.Errorf("the missed event 4 was measured as %+v", r.Watch)
	}
}

func TestAWriteThatWasDoneThoughItFailedIsNotLost(t *testing.T) {
	t.Parallel()
	f := newFakeAPI(t)
	f.misbehave = func(w http.ResponseWriter, r *http.Request) bool {
		if r.Method != http.MethodPost || f.count() != 3 {
			return false
		}
		f.create(discard{}, r)
		w.WriteHeader(http.StatusInternalServerError)
		return true
	}
	r := run(t, f.options(t))
	if r.Write.Failed != 1 || r.ReadBack.Unconfirmed != 1 || r.ReadBack.Lost != 0 || r.Watch.Failed != 0 {
		t.Errorf("got %s, %+v", r.Summary, r.ReadBack)
	}
}

func (f *fakeAPI) count() int {
	f.mutex.Lock()
	defer f.mutex.Unlock()
	return len(f.objects)
}

func TestTheWatchGoesOnWhereItWasCut(t *testing.T) {
	t.Parallel()
	for name, cut := range map[string]func(w http.ResponseWriter, r *http.Request) bool{
		"closed after a while": func(w http.ResponseWriter, r *http.Request) bool { w.WriteHeader(http.StatusOK); return true },
		"refused": func(w http.ResponseWriter, r *http.Request) bool {
			w.WriteHeader(http.StatusServiceUnavailable)
			return true
		},
		"expired": func(w http.ResponseWriter, r *http.Request) bool { w.WriteHeader(http.StatusGone); return true },
		"expired in an event": func(w http.ResponseWriter, r *http.Request) bool {
			fmt.Fprintln(w, `{"type":"ERROR","object":{"kind":"Status","code":410}}`)
			return true
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFakeAPI(t)
			var watches atomic.Int32
			f.misbehave = func(w http.ResponseWriter, r *http.Request) bool {
				return r.URL.Query().Get("watch") == "true" && watches.Add(1) == 1 && cut(w, r)
			}
			o := f.options(t)
			o.duration = 1200 * time.Millisecond
			r := run(t, o)
			if !r.Clean || r.Watch.Retried < 1 || r.Watch.Duplicated != 0 {
				t.Errorf("got %s, %+v", r.Summary, r.Watch)
			}
			if expired := strings.HasPrefix(name, "expired"); expired != (r.Watch.Relisted == 1) {
				t.Errorf("relisted %d times", r.Watch.Relisted)
			}
		})
	}
}

func TestNothingMeasuredIsAnErrorAndNotAResult(t *testing.T) {
	t.Parallel()
	f := newFakeAPI(t)
	f.misbehave = func(w http.ResponseWriter, _ *http.Request) bool { w.WriteHeader(http.StatusForbidden); return true }
	o := f.options(t)
	cert, key := clientPair(t)
	var stdout, stderr bytes.Buffer
	status := execute(context.Background(), []string{"--server", o.server, "--ca", o.ca, "--cert", cert, "--key", key,
		"--namespace", "probe", "--start-timeout", "300ms"}, &stdout, &stderr)
	if status != exitNothing || stdout.Len() != 0 || !strings.Contains(stderr.String(), "HTTP 403") {
		t.Errorf("got status %d, %q, %q", status, stdout.String(), stderr.String())
	}
}

func TestAWriteThatIsTurnedAwayForAWhileIsLateAndNothingFailed(t *testing.T) {
	t.Parallel()
	f := newFakeAPI(t)
	var writes atomic.Int32
	f.misbehave = func(w http.ResponseWriter, r *http.Request) bool {
		if r.Method != http.MethodPost || writes.Add(1) != 2 { // the first one made the anchor
			return false
		}
		w.Header().Set("Retry-After", "5") // as an API server that stops says, and as long as an answer may take
		http.Error(w, "shutting down", http.StatusTooManyRequests)
		return true
	}
	r := run(t, f.options(t))
	if !r.Clean || r.Write.Failed != 0 || r.Write.Retried != 1 || r.ReadBack.Acknowledged != r.Write.Sent || r.ReadBack.Lost != 0 {
		t.Errorf("got %s, %+v", r.Summary, r.ReadBack)
	}
	if r.Write.MaxMs < 5000 {
		t.Errorf("that it was late does not show: %+v", r.Write)
	}
}

func TestEachLongGapIsToldAndTheShortOnesAreNot(t *testing.T) {
	t.Parallel()
	start := time.Unix(1000, 0)
	s := newStats(start)
	for _, seconds := range []int{1, 5, 7, 17, 18} { // after gaps of 1, 4, 2, 10 and 1 s
		s.succeeded(start.Add(time.Duration(seconds)*time.Second), time.Millisecond)
	}
	s.close(start.Add(21 * time.Second))
	want := []gap{{start.Add(time.Second), 4000}, {start.Add(7 * time.Second), 10000}, {start.Add(18 * time.Second), 3000}}
	if got := s.snapshot(); !slices.Equal(got.Gaps, want) || got.LongestGapMs != 10000 {
		t.Errorf("got %+v, the longest %g", got.Gaps, got.LongestGapMs)
	}
}

func TestWhatFailedBeyondTheBurstsThatAreToldIsCountedAllTheSame(t *testing.T) {
	t.Parallel()
	start := time.Unix(1000, 0)
	s := newStats(start)
	for number := range keptBursts + 5 {
		s.failed(start.Add(time.Duration(number)*2*burstGap), number, "gone")
	}
	if got := s.snapshot(); got.Failed != keptBursts+5 || len(got.Bursts) != keptBursts || len(got.FirstErrors) != keptErrors {
		t.Errorf("%d failed, %d bursts, %d errors", got.Failed, len(got.Bursts), len(got.FirstErrors))
	}
}

func TestTheResultIsJSONAndTheProgressEndsWithDone(t *testing.T) {
	t.Parallel()
	f := newFakeAPI(t)
	o := f.options(t)
	cert, key := clientPair(t)
	progress, result := filepath.Join(t.TempDir(), "progress.json"), filepath.Join(t.TempDir(), "result.json")
	ctx, stop := context.WithCancel(context.Background())
	time.AfterFunc(500*time.Millisecond, stop) // stands for SIGTERM
	var stdout, stderr bytes.Buffer
	status := execute(ctx, []string{"--server", o.server, "--ca", o.ca, "--cert", cert, "--key", key, "--namespace", "probe",
		"--progress", progress, "--result", result}, &stdout, &stderr)
	if status != exitClean {
		t.Fatalf("status %d: %s", status, stderr.String())
	}
	var read struct {
		Clean bool
		Read  struct{ Sent, Failed, Retried int }
	}
	text, _ := os.ReadFile(result)
	if err := json.Unmarshal(text, &read); err != nil || !read.Clean || read.Read.Sent == 0 {
		t.Errorf("%v: %s", err, text)
	}
	if text, _ = os.ReadFile(progress); !bytes.Contains(text, []byte(`"phase":"done"`)) {
		t.Errorf("progress: %s", text)
	}
	if strings.Count(stderr.String(), "\n") != 1 {
		t.Errorf("the summary is not one line: %q", stderr.String())
	}
}

func TestArgumentsThatProveNothingAreRefused(t *testing.T) {
	t.Parallel()
	for name, arguments := range map[string][]string{
		"no server":       {"--namespace", "a", "--ca", "b", "--cert", "c", "--key", "d"},
		"no CA":           {"--server", "https://a", "--namespace", "a", "--cert", "c", "--key", "d"},
		"no certificate":  {"--server", "https://a", "--namespace", "a", "--ca", "b"},
		"no interval":     {"--server", "https://a", "--namespace", "a", "--ca", "b", "--cert", "c", "--key", "d", "--read-interval", "0s"},
		"a stray word":    {"--server", "https://a", "--namespace", "a", "--ca", "b", "--cert", "c", "--key", "d", "go"},
		"no such account": {"--in-pod", "--service-account", "/nonexistent"},
	} {
		if _, err := parse(arguments); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

func TestAPodUsesItsServiceAccount(t *testing.T) {
	t.Parallel()
	f := newFakeAPI(t)
	folder := t.TempDir()
	ca, _ := os.ReadFile(f.options(t).ca)
	for name, text := range map[string]string{"ca.crt": string(ca), "token": "the-token\n", "namespace": "probe"} {
		_ = os.WriteFile(filepath.Join(folder, name), []byte(text), 0o600)
	}
	var wrong atomic.Int32
	f.misbehave = func(_ http.ResponseWriter, r *http.Request) bool {
		if r.Header.Get("Authorization") != "Bearer the-token" || !strings.HasPrefix(r.URL.Path, "/api/v1/namespaces/probe/") {
			wrong.Add(1)
		}
		return false
	}
	o, err := parse([]string{"--in-pod", "--service-account", folder, "--server", f.URL, "--duration", "200ms"})
	if err != nil {
		t.Fatal(err)
	}
	if r := run(t, o); !r.Clean || wrong.Load() != 0 {
		t.Errorf("%d requests without the token: %s", wrong.Load(), r.Summary)
	}
}

func TestQuantilesAndGaps(t *testing.T) {
	t.Parallel()
	start := time.Unix(1000, 0)
	s := newStats(start)
	for i := 1; i <= 20; i++ {
		s.succeeded(start.Add(time.Duration(i)*10*time.Millisecond), time.Duration(i)*time.Millisecond)
	}
	s.close(start.Add(700 * time.Millisecond))
	got := s.snapshot()
	if got.P50Ms != 10 || got.P95Ms != 19 || got.MaxMs != 20 || got.LongestGapMs != 500 || !got.LongestGapAt.Equal(start.Add(200*time.Millisecond)) {
		t.Errorf("got %+v", got)
	}
}

func TestFailuresCloseToEachOtherAreOneBurst(t *testing.T) {
	t.Parallel()
	start := time.Unix(1000, 0)
	s := newStats(start)
	for _, ms := range []int{0, 300, 900, 5000, 5100} {
		s.failed(start.Add(time.Duration(ms)*time.Millisecond), ms, "gone")
	}
	got := s.snapshot().Bursts
	if len(got) != 2 || got[0].Failed != 3 || got[1].Failed != 2 || !got[1].From.Equal(start.Add(5*time.Second)) {
		t.Errorf("got %+v", got)
	}
}

func TestADeletionThatIsRefusedIsToldAndOneThatWasDoneIsNot(t *testing.T) {
	t.Parallel()
	for status, left := range map[int]bool{http.StatusForbidden: true, http.StatusNotFound: false} {
		f := newFakeAPI(t)
		f.misbehave = first(http.MethodDelete, func(w http.ResponseWriter, r *http.Request) {
			if status == http.StatusNotFound { // somebody else was quicker
				f.mutex.Lock()
				delete(f.objects, filepath.Base(r.URL.Path))
				f.mutex.Unlock()
			}
			http.Error(w, "no", status)
		})
		if r := run(t, f.options(t)); r.LeftOver != left || (len(r.EndErrors) > 0) != left {
			t.Errorf("HTTP %d: left over %t, errors %v", status, r.LeftOver, r.EndErrors)
		}
	}
}
