package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// fakeAPI is an API server that keeps ConfigMaps in memory and can be told to misbehave.
type fakeAPI struct {
	*httptest.Server

	mutex   sync.Mutex
	objects map[string]object
	order   []object // in the order of their resource versions
	version int
	changed chan struct{}

	// misbehave may answer a request itself (true); it is asked before anything else.
	misbehave func(w http.ResponseWriter, r *http.Request) bool
	// forget tells which acknowledged write is not stored, hide which one the watch does not tell of.
	forget, hide func(name string) bool
	seen         []string // method and protocol of each request
}

func newFakeAPI(t *testing.T) *fakeAPI {
	t.Helper()
	f := &fakeAPI{objects: map[string]object{}, changed: make(chan struct{})}
	f.Server = httptest.NewUnstartedServer(f)
	f.Config.ErrorLog = log.New(io.Discard, "", 0)
	f.Config.ConnContext = func(ctx context.Context, c net.Conn) context.Context {
		return context.WithValue(ctx, connectionKey{}, c)
	}
	f.EnableHTTP2 = true
	f.StartTLS()
	t.Cleanup(func() { f.CloseClientConnections(); f.Close() })
	return f
}

func never(string) bool { return false }

func (f *fakeAPI) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f.mutex.Lock()
	f.seen = append(f.seen, r.Method+" "+r.Proto)
	misbehave := f.misbehave
	f.mutex.Unlock()
	if misbehave != nil && misbehave(w, r) {
		return
	}
	switch {
	case r.Method == http.MethodPost:
		f.create(w, r)
	case r.Method == http.MethodDelete:
		f.mutex.Lock()
		_, found := f.objects[filepath.Base(r.URL.Path)]
		delete(f.objects, filepath.Base(r.URL.Path))
		f.mutex.Unlock()
		if !found {
			http.Error(w, "no such object", http.StatusNotFound)
			return
		}
		fmt.Fprint(w, "{}")
	case r.URL.Query().Get("watch") == "true":
		f.watch(w, r)
	case strings.HasSuffix(r.URL.Path, "/configmaps"):
		f.list(w)
	default:
		f.mutex.Lock()
		found, ok := f.objects[filepath.Base(r.URL.Path)]
		f.mutex.Unlock()
		if !ok {
			http.Error(w, "no such object", http.StatusNotFound)
			return
		}
		_ = json.NewEncoder(w).Encode(found)
	}
}

func (f *fakeAPI) create(w http.ResponseWriter, r *http.Request) {
	var item object
	_ = json.NewDecoder(r.Body).Decode(&item)
	f.mutex.Lock()
	defer f.mutex.Unlock()
	if _, exists := f.objects[item.Metadata.Name]; exists {
		http.Error(w, "already exists", http.StatusConflict)
		return
	}
	f.version++
	item.Metadata.ResourceVersion = strconv.Itoa(f.version)
	if f.forget == nil || !f.forget(item.Metadata.Name) {
		f.objects[item.Metadata.Name] = item
	}
	f.order = append(f.order, item)
	close(f.changed)
	f.changed = make(chan struct{})
	w.WriteHeader(http.StatusCreated)
	_ = json.NewEncoder(w).Encode(item)
}

func (f *fakeAPI) list(w http.ResponseWriter) {
	f.mutex.Lock()
	defer f.mutex.Unlock()
	var found list
	found.Metadata.ResourceVersion = strconv.Itoa(f.version)
	for _, item := range f.objects {
		found.Items = append(found.Items, item)
	}
	_ = json.NewEncoder(w).Encode(found)
}

func (f *fakeAPI) watch(w http.ResponseWriter, r *http.Request) {
	from, _ := strconv.Atoi(r.URL.Query().Get("resourceVersion"))
	for {
		f.mutex.Lock()
		pending, changed := slices.Clone(f.order), f.changed
		f.mutex.Unlock()
		for _, item := range pending {
			version, _ := strconv.Atoi(item.Metadata.ResourceVersion)
			if version <= from {
				continue
			}
			from = version
			if f.hide == nil || !f.hide(item.Metadata.Name) {
				_ = json.NewEncoder(w).Encode(map[string]any{"type": "ADDED", "object": item})
			}
		}
		w.(http.Flusher).Flush()
		select {
		case <-changed:
		case <-r.Context().Done():
			return
		}
	}
}

// options are those of a short measurement against the fake.
func (f *fakeAPI) options(t *testing.T) options {
	t.Helper()
	folder := t.TempDir()
	ca := filepath.Join(folder, "ca.crt")
	text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: f.Certificate().Raw})
	if err := os.WriteFile(ca, text, 0o600); err != nil {
		t.Fatal(err)
	}
	return options{server: f.URL, ca: ca, namespace: "probe", run: "t",
		readInterval: 20 * time.Millisecond, writeInterval: 20 * time.Millisecond, timeout: 5 * time.Second, patience: 12 * time.Second,
		duration: 400 * time.Millisecond, startTimeout: time.Second, endTimeout: time.Second}
}

func (f *fakeAPI) caller(t *testing.T, make func(options, *credentials) *caller) *caller {
	t.Helper()
	o := f.options(t)
	who, err := newCredentials(o)
	if err != nil {
		t.Fatal(err)
	}
	return make(o, who)
}

// connectionKey finds a request's connection in its context.
type connectionKey struct{}

// hangUp closes the request's connection without another byte of response.
func hangUp(_ http.ResponseWriter, r *http.Request) {
	_ = r.Context().Value(connectionKey{}).(interface{ NetConn() net.Conn }).NetConn().Close()
	panic(http.ErrAbortHandler)
}

// first lets only the first request of a method misbehave.
func first(method string, how func(w http.ResponseWriter, r *http.Request)) func(http.ResponseWriter, *http.Request) bool {
	var mutex sync.Mutex
	done := false
	return func(w http.ResponseWriter, r *http.Request) bool {
		mutex.Lock()
		mine := r.Method == method && !done && r.URL.Query().Get("watch") == ""
		done = done || mine
		mutex.Unlock()
		if mine {
			how(w, r)
		}
		return mine
	}
}

// clientPair writes a self-signed client certificate and its key.
func clientPair(t *testing.T) (string, string) {
	t.Helper()
	key, _ := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "prober"}, NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	private, _ := x509.MarshalPKCS8PrivateKey(key)
	folder := t.TempDir()
	cert, keyFile := filepath.Join(folder, "tls.crt"), filepath.Join(folder, "tls.key")
	_ = os.WriteFile(cert, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600)
	_ = os.WriteFile(keyFile, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private}), 0o600)
	return cert, keyFile
}
