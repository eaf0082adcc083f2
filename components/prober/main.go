// Command prober measures whether a Kubernetes API stays up while somebody works on the cluster.
//
// Three streams run until SIGTERM, SIGINT or --duration:
//
//	read   a namespaced ConfigMap, each time on a new connection (HTTP/1.1 over TLS);
//	write  numbered ConfigMaps on one kept HTTP/2 connection;
//	watch  over the written ConfigMaps, resumed the way client-go's reflector does.
//
// At the end every acknowledged ConfigMap is read back (a missing one is a lost write), must have been
// seen by the watch (else it is a missed event), and all of them are deleted (not with
// --keep). The result is one JSON object.
//
// A request fails when it has no complete 2xx answer within --timeout after what client-go does by itself:
// following a GOAWAY, and one retry on a new connection when the old one was closed before any response. Those
// retries are counted apart. AlreadyExists on a retried numbered write is success.
//
// A 429 with Retry-After is heeded, as client-go does (k8s.io/client-go/rest, withRetry: it waits so long and sends
// the request again): an API server that stops says so, and asks for 5 s, on connections that were kept. The wait is no
// part of --timeout, which then begins anew; all in all a request has --patience. client-go would do so ten times, this
// one does it once: API servers stop one after the other, so who is turned away twice has failed. That a request was
// late shows in max_ms, and in a gap where no other one succeeded meanwhile.
//
// With --workload URL there is only the read stream, and it asks a user's workload instead: without credentials, a
// new connection each time. Any complete 2xx answer will do; only the closed connection is retried, not the 429.
//
// What it leaves out: load (see the intervals) and any judgement about the cluster's inside.
//
// Exit status: 0 nothing failed, 1 something did, 2 no measurement was made.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/url"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"syscall"
	"time"
)

const (
	exitClean    = 0
	exitFailures = 1
	exitNothing  = 2
)

// options are the settings of one measurement.
type options struct {
	server, ca, cert, key, tokenFile, namespace string
	workload, run                               string
	readInterval, writeInterval                 time.Duration
	timeout, patience                           time.Duration
	duration, startTimeout, endTimeout          time.Duration
	progress, result                            string
	keep                                        bool
}

func parse(arguments []string) (options, error) {
	var o options
	var inPod bool
	var serviceAccount string
	flags := flag.NewFlagSet("prober", flag.ContinueOnError)
	flags.StringVar(&o.server, "server", "", "URL of the API server, for example https://192.0.2.10:6443")
	flags.StringVar(&o.ca, "ca", "", "file with the CA certificates the server is verified against")
	flags.StringVar(&o.cert, "cert", "", "file with the client certificate")
	flags.StringVar(&o.key, "key", "", "file with the client certificate's key")
	flags.BoolVar(&inPod, "in-pod", false, "use the pod's service account and https://kubernetes.default.svc")
	flags.StringVar(&serviceAccount, "service-account", "/var/run/secrets/kubernetes.io/serviceaccount",
		"folder of the service account's ca.crt, token and namespace (with --in-pod)")
	flags.StringVar(&o.workload, "workload", "", "URL to read instead of the API, for example http://192.0.2.20/hostname; needs no credentials")
	flags.StringVar(&o.namespace, "namespace", "", "namespace of the ConfigMaps (with --in-pod: the pod's own)")
	flags.StringVar(&o.run, "run", strconv.FormatInt(time.Now().UnixNano(), 36), "name of this run, part of every object's name")
	flags.DurationVar(&o.readInterval, "read-interval", 20*time.Millisecond, "time between two reads")
	flags.DurationVar(&o.writeInterval, "write-interval", 100*time.Millisecond, "time between two writes")
	flags.DurationVar(&o.timeout, "timeout", 5*time.Second, "bound of one request, its retries on new connections included")
	flags.DurationVar(&o.patience, "patience", 12*time.Second, "bound of a request that waits as a 429 with Retry-After asks")
	flags.DurationVar(&o.duration, "duration", 0, "stop after this time (0: on SIGTERM or SIGINT)")
	flags.DurationVar(&o.startTimeout, "start-timeout", 30*time.Second, "bound for the first object to be made")
	flags.DurationVar(&o.endTimeout, "end-timeout", 120*time.Second, "bound for reading back and deleting")
	flags.BoolVar(&o.keep, "keep", false, "leave the objects there, in a cluster that is thrown away anyway")
	flags.StringVar(&o.progress, "progress", "", "file rewritten every second with the counts so far")
	flags.StringVar(&o.result, "result", "", "file the result is written to (default: standard output)")
	if err := flags.Parse(arguments); err != nil {
		return o, err
	}
	if flags.NArg() > 0 {
		return o, fmt.Errorf("unknown argument %q", flags.Arg(0))
	}
	if o.readInterval <= 0 || o.writeInterval <= 0 || o.timeout <= 0 {
		return o, errors.New("--read-interval, --write-interval and --timeout must be above zero")
	}
	if o.patience < o.timeout {
		return o, errors.New("--patience must not be shorter than --timeout")
	}
	if o.workload != "" {
		return o, o.checkWorkload(inPod)
	}
	if inPod {
		o.tokenFile = filepath.Join(serviceAccount, "token")
		if o.ca == "" {
			o.ca = filepath.Join(serviceAccount, "ca.crt")
		}
		if o.server == "" {
			o.server = "https://kubernetes.default.svc"
		}
		if o.namespace == "" {
			name, err := os.ReadFile(filepath.Join(serviceAccount, "namespace"))
			if err != nil {
				return o, fmt.Errorf("--in-pod needs a mounted service account: %w", err)
			}
			o.namespace = string(name)
		}
	}
	switch {
	case o.server == "" || o.namespace == "":
		return o, errors.New("--server and --namespace are needed (or --in-pod)")
	case o.ca == "":
		return o, errors.New("--ca is needed: an unverified server proves nothing")
	case !inPod && (o.cert == "" || o.key == ""):
		return o, errors.New("--cert and --key are needed (or --in-pod)")
	}
	return o, nil
}

// checkWorkload says what is wrong with the options of a workload's measurement.
func (o options) checkWorkload(inPod bool) error {
	if inPod || o.server != "" || o.ca != "" || o.cert != "" || o.key != "" || o.namespace != "" {
		return errors.New("--workload measures no API: it goes without --server, --ca, --cert, --key, --namespace and --in-pod")
	}
	if place, err := url.Parse(o.workload); err != nil || place.Host == "" || (place.Scheme != "http" && place.Scheme != "https") {
		return fmt.Errorf("--workload %q is no http or https URL", o.workload)
	}
	return nil
}

// judged is a result, whatever was measured.
type judged interface {
	verdict() (clean bool, summary string)
}

// measure runs the measurement the options ask for.
func (o options) measure(ctx context.Context) (judged, error) {
	if o.workload != "" {
		return measureWorkload(ctx, o)
	}
	return measure(ctx, o)
}

// stop asks the prober that is process 1 of this container to finish, so that "kubectl exec" can end a
// measurement whose result is then read with "kubectl logs".
func stop(stderr io.Writer) int {
	if err := syscall.Kill(1, syscall.SIGTERM); err != nil {
		fmt.Fprintln(stderr, "prober: cannot stop process 1:", err)
		return exitNothing
	}
	return exitClean
}

func main() {
	if len(os.Args) == 2 && os.Args[1] == "stop" {
		os.Exit(stop(os.Stderr))
	}
	ctx, release := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	go func() { // a second signal ends the process at once
		<-ctx.Done()
		release()
	}()
	os.Exit(execute(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

// execute runs one measurement until ctx ends and writes its result; it returns the exit status.
func execute(ctx context.Context, arguments []string, stdout, stderr io.Writer) int {
	o, err := parse(arguments)
	if errors.Is(err, flag.ErrHelp) {
		return exitClean
	}
	if err != nil {
		fmt.Fprintln(stderr, "prober:", err)
		return exitNothing
	}
	result, err := o.measure(ctx)
	if err != nil {
		fmt.Fprintln(stderr, "prober: nothing was measured:", err)
		return exitNothing
	}
	text, err := json.MarshalIndent(result, "", "  ")
	if err == nil && o.result != "" {
		err = replace(o.result, append(text, '\n'))
	} else if err == nil {
		_, err = fmt.Fprintf(stdout, "%s\n", text)
	}
	if err != nil {
		fmt.Fprintln(stderr, "prober: the result could not be written:", err)
		return exitNothing
	}
	clean, summary := result.verdict()
	fmt.Fprintln(stderr, "prober:", summary)
	if clean {
		return exitClean
	}
	return exitFailures
}

// replace writes a file beside its place and renames it, so that a reader never sees half of it.
func replace(path string, content []byte) error {
	if err := os.WriteFile(path+".new", content, 0o644); err != nil {
		return err
	}
	return os.Rename(path+".new", path)
}
