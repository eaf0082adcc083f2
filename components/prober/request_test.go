package main

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

const folderPath = "/api/v1/namespaces/probe/configmaps"

func TestOneRequest(t *testing.T) {
	hangThenConflict := func(f *fakeAPI) func(http.ResponseWriter, *http.Request) {
		return func(_ http.ResponseWriter, r *http.Request) {
			body, _ := io.ReadAll(r.Body)
			r2, _ := http.NewRequest(http.MethodPost, "/", strings.NewReader(string(body)))
			f.create(discard{}, r2) // done, but the answer is lost
			hangUp(nil, r)
		}
	}
	retryAfter := func(status int, header string) func(http.ResponseWriter, *http.Request) {
		return func(w http.ResponseWriter, _ *http.Request) {
			if header != "" {
				w.Header().Set("Retry-After", header)
			}
			w.WriteHeader(status)
		}
	}
	cutBody := func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Length", "100")
		w.WriteHeader(http.StatusOK)
		w.(http.Flusher).Flush()
		time.Sleep(50 * time.Millisecond) // a reset that overtakes the answer's head would be a close before any response
		hangUp(nil, r)
	}
	cases := map[string]struct {
		method    string
		misbehave func(f *fakeAPI) func(http.ResponseWriter, *http.Request)
		always    bool
		retries   int
		fails     string // part of the error; "" = the request succeeds
	}{
		"a good answer needs no retry":                      {method: "POST"},
		"a connection reset before the response is retried": {method: "POST", misbehave: fixed(hangUp), retries: 1},
		"a connection reset twice fails":                    {method: "POST", misbehave: fixed(hangUp), always: true, retries: 1, fails: "Post"},
		"a write that was done before its answer was lost":  {method: "POST", misbehave: hangThenConflict, retries: 1},
		"500 fails at once":                                 {method: "POST", misbehave: fixed(retryAfter(500, "")), fails: "HTTP 500"},
		"503 with Retry-After fails":                        {method: "POST", misbehave: fixed(retryAfter(503, "1")), fails: "HTTP 503"},
		"429 without Retry-After fails":                     {method: "POST", misbehave: fixed(retryAfter(429, "")), fails: "HTTP 429"},
		"429 with Retry-After is retried":                   {method: "POST", misbehave: fixed(retryAfter(429, "0")), retries: 1},
		"409 on a first attempt fails":                      {method: "POST", misbehave: fixed(retryAfter(409, "")), fails: "HTTP 409"},
		"an answer cut off in its body fails":               {method: "POST", misbehave: fixed(cutBody), fails: "cut off in its body"},
	}
	for connection, make := range map[string]func(options, *credentials) *caller{"fresh": freshCaller, "kept": keptCaller} {
		for name, c := range cases {
			t.Run(connection+"/"+name, func(t *testing.T) {
				t.Parallel()
				f := newFakeAPI(t)
				if c.misbehave != nil {
					how := c.misbehave(f)
					f.misbehave = first(c.method, how)
					if c.always {
						f.misbehave = func(w http.ResponseWriter, r *http.Request) bool { how(w, r); return true }
					}
				}
				m := measurement{options: options{run: "t"}}
				a := f.caller(t, make).do(context.Background(), c.method, folderPath, m.configMap(1))
				if a.retries != c.retries {
					t.Errorf("retries: got %d, want %d (%v)", a.retries, c.retries, a.err)
				}
				switch {
				case c.fails == "" && a.err != nil:
					t.Errorf("failed: %v", a.err)
				case c.fails != "" && (a.err == nil || !strings.Contains(a.err.Error(), c.fails)):
					t.Errorf("got error %v, want one with %q", a.err, c.fails)
				}
			})
		}
	}
}

func fixed(how func(http.ResponseWriter, *http.Request)) func(*fakeAPI) func(http.ResponseWriter, *http.Request) {
	return func(*fakeAPI) func(http.ResponseWriter, *http.Request) { return how }
}

// discard is a response nobody gets.
type discard struct{}

func (discard) Header() http.Header         { return http.Header{} }
func (discard) Write(p []byte) (int, error) { return len(p), nil }
func (discard) WriteHeader(int)             {}

func TestAHangingServerFailsAtTheTimeoutAndNotBefore(t *testing.T) {
	t.Parallel()
	f := newFakeAPI(t)
	f.misbehave = func(_ http.ResponseWriter, r *http.Request) bool { <-r.Context().Done(); return true }
	c := f.caller(t, freshCaller)
	if c.timeout != 5*time.Second {
		t.Fatalf("the definition says 5 s, the default is %s", c.timeout)
	}
	begin := time.Now()
	a := c.do(context.Background(), http.MethodGet, folderPath, nil)
	if took := time.Since(begin); a.err == nil || took < 4900*time.Millisecond || took > 6*time.Second {
		t.Errorf("got %v after %s, want a failure after 5 s", a.err, took)
	}
	if a.retries != 0 {
		t.Errorf("a timeout is no closed connection, yet it was retried %d times", a.retries)
	}
}

func TestARetryAfterIsHeededOnceForLongerThanAnAnswerMayTake(t *testing.T) {
	t.Parallel()
	const second = time.Second
	turnAway := func(w http.ResponseWriter, seconds string) {
		w.Header().Set("Retry-After", seconds)
		w.WriteHeader(http.StatusTooManyRequests)
	}
	turnAwayThenHang := func(number int, w http.ResponseWriter, r *http.Request) bool {
		if number == 1 {
			turnAway(w, "2")
		} else {
			<-r.Context().Done()
		}
		return true
	}
	for name, c := range map[string]struct {
		answers  func(number int, w http.ResponseWriter, r *http.Request) bool
		patience time.Duration
		took     time.Duration // at least, and never much longer than the patience
		retries  int
		fails    string
	}{
		"as long as the timeout, and answered then": {
			func(number int, w http.ResponseWriter, _ *http.Request) bool {
				if number == 1 {
					turnAway(w, "2")
				}
				return number == 1
			}, 6 * second, 2 * second, 1, "",
		},
		"turned away again": {
			func(_ int, w http.ResponseWriter, _ *http.Request) bool { turnAway(w, "2"); return true },
			6 * second, 2 * second, 1, "HTTP 429",
		},
		"longer than the patience is not waited for": {
			func(_ int, w http.ResponseWriter, _ *http.Request) bool { turnAway(w, "60"); return true },
			6 * second, 0, 0, "the whole patience is 6s",
		},
		"no answer after the wait: the timeout anew": {
			turnAwayThenHang, 6 * second, 4 * second, 1, "deadline exceeded",
		},
		"no answer after the wait: never beyond the patience": {
			turnAwayThenHang, 3 * second, 3 * second, 1, "deadline exceeded",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFakeAPI(t)
			var asked atomic.Int32
			f.misbehave = func(w http.ResponseWriter, r *http.Request) bool {
				return r.Method == http.MethodPost && c.answers(int(asked.Add(1)), w, r)
			}
			asker := f.caller(t, keptCaller)
			asker.do(context.Background(), http.MethodGet, folderPath, nil) // so that the connection is there
			asker.timeout, asker.patience = 2*second, c.patience
			begin := time.Now()
			m := measurement{options: options{run: "t"}}
			a := asker.do(context.Background(), http.MethodPost, folderPath, m.configMap(1))
			took := time.Since(begin)
			if c.fails == "" && a.err != nil || c.fails != "" && (a.err == nil || !strings.Contains(a.err.Error(), c.fails)) {
				t.Errorf("got %v, want %q", a.err, c.fails)
			}
			if a.retries != c.retries || took < c.took || took >= c.patience+second {
				t.Errorf("%d retries in %s, want %d in %s", a.retries, took, c.retries, c.took)
			}
		})
	}
}

func TestARefusedConnectionFailsWithoutRetry(t *testing.T) {
	t.Parallel()
	f := newFakeAPI(t)
	c := f.caller(t, freshCaller)
	f.Close()
	a := c.do(context.Background(), http.MethodGet, folderPath, nil)
	if !errors.Is(a.err, syscall.ECONNREFUSED) || a.retries != 0 {
		t.Errorf("got %v after %d retries, want connection refused after none", a.err, a.retries)
	}
}

func TestTheKeptConnectionIsOneAndTheFreshOnesAreMany(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		make  func(options, *credentials) *caller
		want  int
		proto string
	}{"kept": {keptCaller, 1, "HTTP/2.0"}, "fresh": {freshCaller, 5, "HTTP/1.1"}} {
		f := newFakeAPI(t)
		var mutex sync.Mutex
		addresses := map[string]bool{}
		f.misbehave = func(w http.ResponseWriter, r *http.Request) bool {
			mutex.Lock()
			defer mutex.Unlock()
			addresses[r.RemoteAddr] = true
			if r.Proto != c.proto {
				t.Errorf("%s: got %s, want %s", name, r.Proto, c.proto)
			}
			return false
		}
		caller := f.caller(t, c.make)
		for range 5 {
			if a := caller.do(context.Background(), http.MethodGet, folderPath, nil); a.err != nil {
				t.Fatal(a.err)
			}
		}
		if len(addresses) != c.want {
			t.Errorf("%s: got %d connections, want %d", name, len(addresses), c.want)
		}
	}
}

// TestAStreamAboveTheLastOfAGoawayIsRetried speaks just enough HTTP/2 to refuse the first connection's stream.
func TestAStreamAboveTheLastOfAGoawayIsRetried(t *testing.T) {
	t.Parallel()
	f := newFakeAPI(t)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	go func() {
		for number := 0; ; number++ {
			raw, err := listener.Accept()
			if err != nil {
				return
			}
			if number == 0 {
				go goAway(tls.Server(raw, f.TLS))
			} else {
				go relay(raw, f.Listener.Addr().String())
			}
		}
	}()
	c := f.caller(t, keptCaller)
	c.server = "https://" + listener.Addr().String()
	m := measurement{options: options{run: "t"}}
	a := c.do(context.Background(), http.MethodPost, folderPath, m.configMap(1))
	if a.err != nil || a.retries != 1 {
		t.Errorf("got %v after %d retries, want success after 1", a.err, a.retries)
	}
}

// goAway reads a client's first request and answers GOAWAY with last stream 0: nothing was processed.
func goAway(c *tls.Conn) {
	defer c.Close()
	const preface, settings, headers = 24, 4, 1
	if _, err := io.ReadFull(c, make([]byte, preface)); err != nil {
		return
	}
	_, _ = c.Write([]byte{0, 0, 0, settings, 0, 0, 0, 0, 0})
	for frame := make([]byte, 9); ; {
		if _, err := io.ReadFull(c, frame); err != nil {
			return
		}
		length := int64(frame[0])<<16 | int64(frame[1])<<8 | int64(frame[2])
		if _, err := io.CopyN(io.Discard, c, length); err != nil {
			return
		}
		if frame[3] == headers {
			_, _ = c.Write([]byte{0, 0, 8, 7, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0})
			time.Sleep(100 * time.Millisecond)
			return
		}
	}
}

func relay(client net.Conn, address string) {
	server, err := net.Dial("tcp", address)
	if err != nil {
		client.Close()
		return
	}
	go func() { _, _ = io.Copy(server, client); server.Close() }()
	_, _ = io.Copy(client, server)
	client.Close()
}
