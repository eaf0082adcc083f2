package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"os"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

// client-go's transport settings (k8s.io/apimachinery/pkg/util/net/http.go, client-go/transport/cache.go).
const (
	dialTimeout      = 30 * time.Second
	tcpKeepAlive     = 30 * time.Second
	handshakeTimeout = 10 * time.Second
	http2Idle        = 30 * time.Second
	http2Ping        = 15 * time.Second
)

// connectionRetries is how often a request is sent again after its connection was closed before any response.
const connectionRetries = 1

// tokenAge is how long a service-account token is used before its file is read again (client-go: one minute).
const tokenAge = time.Minute

// credentials say who we are: a client certificate in the TLS configuration or a service account's token.
type credentials struct {
	tls       *tls.Config
	tokenFile string

	mutex sync.Mutex
	token string
	read  time.Time
}

func newCredentials(o options) (*credentials, error) {
	bundle, err := os.ReadFile(o.ca)
	if err != nil {
		return nil, fmt.Errorf("the CA cannot be read: %w", err)
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(bundle) {
		return nil, fmt.Errorf("no certificate in %s", o.ca)
	}
	c := &credentials{tls: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}, tokenFile: o.tokenFile}
	if o.cert != "" {
		pair, err := tls.LoadX509KeyPair(o.cert, o.key)
		if err != nil {
			return nil, fmt.Errorf("the client certificate cannot be read: %w", err)
		}
		c.tls.Certificates = []tls.Certificate{pair}
	}
	return c, nil
}

func (c *credentials) sign(request *http.Request) {
	if c.tokenFile == "" {
		return
	}
	c.mutex.Lock()
	defer c.mutex.Unlock()
	if time.Since(c.read) > tokenAge {
		if text, err := os.ReadFile(c.tokenFile); err == nil {
			c.token, c.read = strings.TrimSpace(string(text)), time.Now()
		}
	}
	request.Header.Set("Authorization", "Bearer "+c.token)
}

// caller sends requests to one server.
type caller struct {
	server      string
	timeout     time.Duration
	patience    time.Duration
	credentials *credentials
	client      *http.Client
	retryAfter  bool // waits as a 429 with Retry-After asks, which client-go does and net/http does not
}

// freshCaller makes a caller that opens a new connection for each request.
func freshCaller(o options, c *credentials) *caller {
	transport := newTransport(c)
	transport.DisableKeepAlives = true
	return newCaller(o, c, transport)
}

// keptCaller makes a caller that keeps one HTTP/2 connection, as client-go does.
func keptCaller(o options, c *credentials) *caller {
	transport := newTransport(c)
	transport.ForceAttemptHTTP2 = true
	transport.HTTP2 = &http.HTTP2Config{SendPingTimeout: http2Idle, PingTimeout: http2Ping}
	return newCaller(o, c, transport)
}

func newCaller(o options, c *credentials, transport *http.Transport) *caller {
	return &caller{server: o.server, timeout: o.timeout, patience: o.patience, credentials: c,
		client: &http.Client{Transport: transport}, retryAfter: true}
}

func newTransport(c *credentials) *http.Transport {
	dialer := &net.Dialer{Timeout: dialTimeout, KeepAlive: tcpKeepAlive}
	return &http.Transport{
		DialContext:         dialer.DialContext,
		TLSClientConfig:     c.tls.Clone(),
		TLSHandshakeTimeout: handshakeTimeout,
		DisableCompression:  true,
	}
}

// answer is what became of one request, its retries included.
type answer struct {
	status  int
	body    []byte
	retries int
	err     error
	wait    time.Duration // err is a 429 that asks to be waited for so long
}

// do sends a request and, where client-go would, sends it again, within the caller's timeout; where a 429 asks to wait first,
// once and with the timeout anew, all within the caller's patience.
func (c *caller) do(ctx context.Context, method, path string, body []byte) answer {
	ctx, cancel := context.WithTimeout(ctx, c.patience)
	defer cancel()
	begin := time.Now()
	a := c.try(ctx, method, path, body, 0)
	if a.wait == 0 {
		return a
	}
	if time.Since(begin)+a.wait > c.patience {
		a.err = fmt.Errorf("%w (Retry-After asks for %s, the whole patience is %s)", a.err, a.wait, c.patience)
		return a
	}
	select {
	case <-time.After(a.wait):
	case <-ctx.Done():
		a.err = fmt.Errorf("%w (still waiting as Retry-After asked)", a.err)
		return a
	}
	a = c.try(ctx, method, path, body, a.retries+1)
	if a.wait > 0 {
		a.err = fmt.Errorf("%w (again, after the wait that Retry-After asked for)", a.err)
	}
	return a
}

// try sends a request that was sent again so often before, and once more when its connection was closed before any response,
// within the caller's timeout.
func (c *caller) try(ctx context.Context, method, path string, body []byte, retries int) answer {
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	for closed := 0; ; closed++ {
		one := c.once(ctx, method, path, body)
		retries += one.inner
		if one.closed && closed < connectionRetries {
			retries++
			continue
		}
		if one.status == http.StatusConflict && retries > 0 && method == http.MethodPost {
			one.err = nil // the write had been done before its answer was lost
		}
		return answer{status: one.status, body: one.body, retries: retries, err: one.err, wait: one.wait}
	}
}

// attempt is what became of one sending of a request.
type attempt struct {
	status int
	body   []byte
	err    error
	closed bool          // the connection was closed before any response
	wait   time.Duration // 429 with Retry-After: how long the server asks to wait
	inner  int           // retries made by the HTTP transport itself (GOAWAY, idle connection closed)
}

func (c *caller) once(ctx context.Context, method, path string, body []byte) attempt {
	var result attempt
	var mutex sync.Mutex
	connections, answered := 0, false
	trace := &httptrace.ClientTrace{
		GotConn: func(httptrace.GotConnInfo) {
			mutex.Lock()
			connections++
			mutex.Unlock()
		},
		GotFirstResponseByte: func() {
			mutex.Lock()
			answered = true
			mutex.Unlock()
		},
	}
	request, err := http.NewRequestWithContext(httptrace.WithClientTrace(ctx, trace), method, c.server+path, bytes.NewReader(body))
	if err != nil {
		return attempt{err: err}
	}
	request.Header.Set("Accept", "application/json")
	if len(body) > 0 {
		request.Header.Set("Content-Type", "application/json")
	}
	c.credentials.sign(request)
	response, err := c.client.Do(request)
	mutex.Lock()
	result.inner = max(0, connections-1)
	early := !answered
	mutex.Unlock()
	if err != nil {
		result.err = err
		result.closed = early && connectionClosed(err)
		return result
	}
	defer response.Body.Close()
	result.status = response.StatusCode
	result.body, result.err = io.ReadAll(response.Body)
	if result.err != nil {
		result.err = fmt.Errorf("HTTP %d, cut off in its body: %w", response.StatusCode, result.err)
		return result
	}
	if response.StatusCode < 200 || response.StatusCode > 299 {
		result.err = fmt.Errorf("HTTP %d: %s", response.StatusCode, excerpt(result.body))
	}
	if c.retryAfter && response.StatusCode == http.StatusTooManyRequests {
		if seconds, err := strconv.Atoi(response.Header.Get("Retry-After")); err == nil {
			result.wait = max(time.Duration(seconds)*time.Second, time.Millisecond)
		}
	}
	return result
}

// connectionClosed tells whether an error means that the other side closed the connection: what client-go
// retries (IsConnectionReset, IsProbableEOF, IsHTTP2ConnectionLost), and its other face, a broken pipe.
// A refused connection is not among them.
func connectionClosed(err error) bool {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE) {
		return true
	}
	text := err.Error()
	for _, part := range []string{
		"connection reset by peer",
		"http: can't write HTTP request on broken connection",
		"http2: server sent GOAWAY and closed the connection",
		"http2: client connection lost",
		"http2: client connection force closed", // the writing side saw the broken connection first
		"use of closed network connection",
	} {
		if strings.Contains(text, part) {
			return true
		}
	}
	return false
}

// excerpt is the beginning of a body, on one line.
func excerpt(body []byte) string {
	const length = 200
	text := strings.Join(strings.Fields(string(body)), " ")
	if len(text) > length {
		return text[:length] + "…"
	}
	return text
}
