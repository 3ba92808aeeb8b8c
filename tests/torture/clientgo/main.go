// Command clientgo is a candidate that contends for one Lease with client-go's own elector, for ever.
//
// It prints one JSON object a line: "started", "stepping-down", "stopped", "leader", each with `boot` (seconds on
// CLOCK_BOOTTIME, which all processes of a machine share) and `time` (seconds since the epoch). While it leads it
// writes a line every --work-interval to --work-log, with no token, since client-go has none.
//
// With --binary-version it is a candidate of a coordinated election (KEP-4355): it publishes a LeaseCandidate of its
// identity, and waits to be appointed.
//
// SIGUSR1: step down, rest for --rest, contend again. SIGTERM: step down and exit.
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
	coordination "k8s.io/api/coordination/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/client-go/tools/leaderelection"
	"k8s.io/client-go/tools/leaderelection/resourcelock"
	"k8s.io/klog/v2"
)

type options struct {
	kubeconfig, server, namespace, name, identity, workLog string
	leaseDuration, renewDeadline, retryPeriod              time.Duration
	workInterval, rest                                     time.Duration
	releaseOnCancel                                        bool
	binaryVersion, emulationVersion                        string
}

func parse() options {
	var o options
	flag.StringVar(&o.kubeconfig, "kubeconfig", "", "the kubeconfig")
	flag.StringVar(&o.server, "server", "", "in place of the kubeconfig's server")
	flag.StringVar(&o.namespace, "namespace", "default", "of the Lease")
	flag.StringVar(&o.name, "name", "", "of the Lease")
	flag.StringVar(&o.identity, "identity", "", "written as holder")
	flag.StringVar(&o.workLog, "work-log", "", "gets a line for each write while leading")
	flag.DurationVar(&o.leaseDuration, "lease-duration", 15*time.Second, "client-go's LeaseDuration")
	flag.DurationVar(&o.renewDeadline, "renew-deadline", 10*time.Second, "client-go's RenewDeadline")
	flag.DurationVar(&o.retryPeriod, "retry-period", 2*time.Second, "client-go's RetryPeriod")
	flag.DurationVar(&o.workInterval, "work-interval", 30*time.Millisecond, "between two writes")
	flag.DurationVar(&o.rest, "rest", time.Second, "between stepping down at SIGUSR1 and contending again")
	flag.BoolVar(&o.releaseOnCancel, "release-on-cancel", true, "client-go's ReleaseOnCancel")
	flag.StringVar(&o.binaryVersion, "binary-version", "", "contend in a coordinated election, as this version")
	flag.StringVar(&o.emulationVersion, "emulation-version", "", "which it emulates; --binary-version by default")
	flag.Parse()
	if o.emulationVersion == "" {
		o.emulationVersion = o.binaryVersion
	}
	return o
}

func boot() float64 {
	var at unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &at); err != nil {
		fail(err)
	}
	return float64(at.Sec) + float64(at.Nsec)/1e9
}

func fail(err error) {
	fmt.Fprintln(os.Stderr, "clientgo:", err)
	os.Exit(1)
}

// tell writes one event with a single write(2): it is out even if SIGKILL comes next.
func tell(event string, fields map[string]any) {
	line := map[string]any{"event": event, "boot": boot(), "time": float64(time.Now().UnixNano()) / 1e9}
	for key, value := range fields {
		line[key] = value
	}
	text, err := json.Marshal(line)
	if err != nil {
		fail(err)
	}
	if _, err = os.Stdout.Write(append(text, '\n')); err != nil {
		os.Exit(1) // nobody listens any more
	}
}

// work writes until the term is over, and returns how often it did and when last.
func (o options) work(term context.Context) (int, float64) {
	file, err := os.OpenFile(o.workLog, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o644)
	if err != nil {
		fail(err)
	}
	defer file.Close()
	ticker := time.NewTicker(o.workInterval)
	defer ticker.Stop()
	writes, last := 0, boot()
	for term.Err() == nil {
		last = boot()
		if _, err = fmt.Fprintf(file, "{\"boot\":%.6f,\"holder\":%q}\n", last, o.identity); err != nil {
			fail(err)
		}
		writes++
		select {
		case <-term.Done():
		case <-ticker.C:
		}
	}
	return writes, last
}

// contend runs the elector once: until the term is lost, or ctx ends and the Lease has been released.
func (o options) contend(ctx context.Context, lock resourcelock.Interface) {
	worked := make(chan struct{})
	elector, err := leaderelection.NewLeaderElector(leaderelection.LeaderElectionConfig{
		Lock:            lock,
		LeaseDuration:   o.leaseDuration,
		RenewDeadline:   o.renewDeadline,
		RetryPeriod:     o.retryPeriod,
		ReleaseOnCancel: o.releaseOnCancel,
		Coordinated:     o.binaryVersion != "",
		Name:            o.name,
		Callbacks: leaderelection.LeaderCallbacks{
			OnStartedLeading: func(term context.Context) {
				defer close(worked)
				tell("started", nil)
				writes, last := o.work(term)
				tell("stopped", map[string]any{"writes": writes, "last_write": last})
			},
			OnStoppedLeading: func() {},
			OnNewLeader:      func(who string) { tell("leader", map[string]any{"holder": who}) },
		},
	})
	if err != nil {
		fail(err)
	}
	elector.Run(ctx)
	select {
	case <-worked:
	case <-time.After(time.Second): // it never led
	}
}

// publish keeps the LeaseCandidate alive, for ever.
func (o options) publish(config *rest.Config) {
	clients, err := kubernetes.NewForConfig(config)
	if err != nil {
		fail(err)
	}
	candidate, _, err := leaderelection.NewCandidate(
		clients, o.namespace, o.identity, o.name, o.binaryVersion, o.emulationVersion, coordination.OldestEmulationVersion)
	if err != nil {
		fail(err)
	}
	candidate.Run(context.Background())
}

func main() {
	o := parse()
	klog.SetOutput(os.Stderr)
	config, err := clientcmd.BuildConfigFromFlags(o.server, o.kubeconfig)
	if err != nil {
		fail(err)
	}
	lock, err := resourcelock.NewFromKubeconfig(
		resourcelock.LeasesResourceLock, o.namespace, o.name,
		resourcelock.ResourceLockConfig{Identity: o.identity}, config, o.renewDeadline)
	if err != nil {
		fail(err)
	}
	if o.binaryVersion != "" {
		go o.publish(config)
	}
	signals := make(chan os.Signal, 8)
	signal.Notify(signals, syscall.SIGUSR1, syscall.SIGTERM)
	tell("ready", nil)
	for {
		ctx, cancel := context.WithCancel(context.Background())
		done := make(chan struct{})
		go func() { defer close(done); o.contend(ctx, lock) }()
		select {
		case <-done: // the term was lost: Run is one shot
			cancel()
		case which := <-signals:
			tell("stepping-down", nil)
			cancel()
			<-done
			if which == syscall.SIGTERM {
				return
			}
			time.Sleep(o.rest)
		}
	}
}
