// hookload: closed- and open-loop load generator and prober for signed GitHub webhooks.
// No dependencies outside the standard library. See README.md.
package main

import (
	"bytes"
	"compress/gzip"
	"crypto/hmac"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"flag"
	"fmt"
	"math"
	"math/rand"
	"net"
	"net/url"
	"os"
	"sort"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// example is one payload file entry: an event with a body cut at the places where -subst puts the counter.
type example struct {
	event, action string
	pieces        [][]byte // body = pieces joined by the substituted counter (one piece: verbatim)
	size          int
}

// delivery is one request to send; the head is complete (signature included), the body is
// assembled from the example's pieces when sent (a copy of some KB, no hashing).
type delivery struct {
	ex    *example
	head  []byte
	subst string
	guid  string
	bad   bool
	dup   bool
	dupOf int
}

type result struct {
	status  int16 // 0: error
	lat     int64 // ns from the intended time (open loop) or from the send (closed loop)
	service int64 // ns from the actual send
}

var (
	fURL      = flag.String("url", "", "webhook URL, http://host:port/path")
	fSecret   = flag.String("secret", "secret", "webhook secret")
	fPayloads = flag.String("payloads", "tests/github/data/webhooks.json.gz", "gzipped object {event: [payload, ...]}")
	fMix      = flag.String("mix", "all", "'all' (each example alike) or a list 'pull_request.labeled=3,push=1,check_run=2' of event[.action][=weight]")
	fN        = flag.Int("n", 5000, "deliveries (open loop with -duration: rate*duration)")
	fDur      = flag.Duration("duration", 0, "open loop: send for this long, instead of -n; closed loop: stop after this long")
	fConns    = flag.Int("c", 16, "connections")
	fRate     = flag.Float64("rate", 0, "open loop: deliveries a second; 0 is closed loop")
	fPoisson  = flag.Bool("poisson", false, "open loop: exponential gaps in place of even ones")
	fBad      = flag.Float64("bad", 0, "share of deliveries with a wrong signature (right form)")
	fDup      = flag.Float64("dup", 0, "share of deliveries that repeat an earlier GUID and body")
	fNewConn  = flag.Bool("newconn", false, "a new TCP connection for each delivery")
	fSubst    = flag.String("subst", "", "OLD=>NEW with one %d in NEW: replaced by a per-delivery counter in each body, e.g. '\"number\":2,=>\"number\":%d,'; several separated by ;;")
	fSubst0   = flag.Int("subst-start", 1000000, "first value of the -subst counter")
	fTimeout  = flag.Duration("timeout", 30*time.Second, "per request")
	fPids     = flag.String("pid", "", "pids whose CPU time and memory are sampled (comma separated; each with its descendants); the first is 'the server'")
	fOut      = flag.String("accepted", "", "file to which GUID, status and subst counter of each delivery are written")
	fSeed     = flag.Int64("seed", 1, "")
	fKill     = flag.Duration("kill-after", 0, "kill -9 the first -pid this long after the start")
	fWarm     = flag.Int("warmup", 200, "deliveries sent (closed loop) and not counted, before the start")
	fSearch   = flag.Duration("search-p99", 0, "find the highest rate whose p99 stays below this (e.g. 50ms)")
	fStep     = flag.Duration("step", 5*time.Second, "-search-p99: length of a step")
	fSteps    = flag.Int("steps", 7, "-search-p99: number of steps")
	fTries    = flag.Int("tries", 3, "-search-p99: a step counts as failed when it fails this often (neighbours' noise can fail a step, never pass one)")
	fQuiet    = flag.Float64("quiet", 0, "before each measure wait until the machine uses fewer CPU cores than this; failed search steps beside more are repeated")
	fQuietMax = flag.Duration("quiet-wait", 2*time.Minute, "longest time to spend on -quiet")
	fHi       = flag.Float64("hi", 0, "-search-p99: upper bound of the rate (0: measured in closed loop)")
	fOK       = flag.String("ok", "200,202,204,201", "status codes that count as accepted")
	fProbe    = flag.Bool("probe", false, "send the odd requests one by one and print what comes back")
	fHold     = flag.Int("hold", 120, "-probe: this many unfinished bodies held open while one good delivery is sent")
	fSlow     = flag.Duration("slow", 40*time.Second, "-probe: how long the slow-loris body goes on")
	fLabel    = flag.String("label", "", "copied to the output")
	fPP       = flag.Bool("pretty", false, "indent the JSON")
	fSettle   = flag.Duration("settle", 0, "wait this long after the last answer before the final CPU reading (work done after the answer)")
	fGap      = flag.Duration("gap", 2*time.Second, "-search-p99: pause between steps (lets a backlog drain)")
	fGuidPre  = flag.String("guid", "", "prefix (8 hex digits) of the GUIDs; default: from the clock")
)

func die(f string, a ...any) { fmt.Fprintf(os.Stderr, f+"\n", a...); os.Exit(2) }

type subst struct{ old, pre, post string }

func parseSubst(s string) (out []subst) {
	if s == "" {
		return nil
	}
	for _, p := range strings.Split(s, ";;") {
		o, n, ok := strings.Cut(p, "=>")
		pre, post, ok2 := strings.Cut(n, "%d")
		if !ok || !ok2 {
			die("-subst: want OLD=>NEW with %%d: %q", p)
		}
		out = append(out, subst{o, pre, post})
	}
	return
}

const mark = "\x00\x01\x00"

func loadExamples(file string, subs []subst) (all []*example) {
	add := func(event string, raw []byte) {
		var c bytes.Buffer
		if err := json.Compact(&c, raw); err != nil {
			die("%s: %v", event, err)
		}
		var a struct {
			Action string `json:"action"`
		}
		_ = json.Unmarshal(c.Bytes(), &a)
		b := c.Bytes()
		for _, s := range subs {
			b = bytes.ReplaceAll(b, []byte(s.old), []byte(s.pre+mark+s.post))
		}
		e := &example{event: event, action: a.Action, pieces: bytes.Split(b, []byte(mark)), size: c.Len()}
		all = append(all, e)
	}
	raw, err := os.ReadFile(file)
	if err != nil {
		die("%v", err)
	}
	zipped, err := gzip.NewReader(bytes.NewReader(raw))
	if err != nil {
		die("%s: %v", file, err)
	}
	events := map[string][]json.RawMessage{}
	if err := json.NewDecoder(zipped).Decode(&events); err != nil {
		die("%s: %v", file, err)
	}
	names := make([]string, 0, len(events))
	for name := range events {
		names = append(names, name)
	}
	sort.Strings(names)
	for _, name := range names {
		for _, payload := range events[name] {
			add(name, payload)
		}
	}
	if len(all) == 0 {
		die("no payloads in %s", file)
	}
	return
}

// chooser returns a deterministic function that draws examples by the weights of -mix.
func chooser(all []*example, mix string, rnd *rand.Rand) (func() *example, []string) {
	type grp struct {
		w  float64
		ex []*example
		i  int
	}
	var gs []*grp
	var names []string
	if mix == "all" {
		gs = append(gs, &grp{1, all, 0})
		names = append(names, fmt.Sprintf("all (%d examples)", len(all)))
	} else {
		for _, p := range strings.Split(mix, ",") {
			name, ws, ok := strings.Cut(strings.TrimSpace(p), "=")
			w := 1.0
			if ok {
				var err error
				if w, err = strconv.ParseFloat(ws, 64); err != nil {
					die("-mix: %q", p)
				}
			}
			ev, act, hasAct := strings.Cut(name, ".")
			g := &grp{w: w}
			for _, e := range all {
				if e.event == ev && (!hasAct || e.action == act) {
					g.ex = append(g.ex, e)
				}
			}
			if len(g.ex) == 0 {
				die("-mix: no example of %s", name)
			}
			gs = append(gs, g)
			names = append(names, fmt.Sprintf("%s=%g (%d examples)", name, w, len(g.ex)))
		}
	}
	tot := 0.0
	for _, g := range gs {
		tot += g.w
	}
	return func() *example {
		x := rnd.Float64() * tot
		for _, g := range gs {
			if x -= g.w; x <= 0 || g == gs[len(gs)-1] {
				e := g.ex[g.i%len(g.ex)]
				g.i++
				return e
			}
		}
		panic("unreachable")
	}, names
}

func (e *example) body(dst []byte, s string) []byte {
	for i, p := range e.pieces {
		if i > 0 {
			dst = append(dst, s...)
		}
		dst = append(dst, p...)
	}
	return dst
}

func sign(secret, body []byte) (s1, s256 string) {
	m := hmac.New(sha256.New, secret)
	m.Write(body)
	n := hmac.New(sha1.New, secret)
	n.Write(body)
	return "sha1=" + hex.EncodeToString(n.Sum(nil)), "sha256=" + hex.EncodeToString(m.Sum(nil))
}

func headFor(host, path, event, guid, s1, s256, ctype string, clen int, extra string) []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "POST %s HTTP/1.1\r\nHost: %s\r\nUser-Agent: GitHub-Hookshot/d2f6c3b\r\nAccept: */*\r\nX-GitHub-Delivery: %s\r\nX-GitHub-Event: %s\r\nX-GitHub-Hook-ID: 292430182\r\nX-GitHub-Hook-Installation-Target-ID: 79929171\r\nX-GitHub-Hook-Installation-Target-Type: integration\r\n", path, host, guid, event)
	if s1 != "" {
		fmt.Fprintf(&b, "X-Hub-Signature: %s\r\n", s1)
	}
	if s256 != "" {
		fmt.Fprintf(&b, "X-Hub-Signature-256: %s\r\n", s256)
	}
	if ctype != "" {
		fmt.Fprintf(&b, "Content-Type: %s\r\n", ctype)
	}
	b.WriteString(extra)
	if clen >= 0 {
		fmt.Fprintf(&b, "Content-Length: %d\r\n", clen)
	}
	b.WriteString("\r\n")
	return b.Bytes()
}

var guidSeq atomic.Uint64

func guid(prefix string) string {
	n := guidSeq.Add(1)
	return fmt.Sprintf("%s-%04x-11ef-8%03x-%012x", prefix, (n>>16)&0xffff, n&0xfff, n)
}

type target struct{ addr, host, path string }

func prepare(t target, n int, choose func() *example, rnd *rand.Rand, prefix string) []delivery {
	ds := make([]delivery, n)
	var buf []byte
	sec := []byte(*fSecret)
	type key struct {
		e *example
	}
	cache := map[key][2]string{}
	for i := range ds {
		d := &ds[i]
		if i > 0 && rnd.Float64() < *fDup {
			lo := i - 1000
			if lo < 0 {
				lo = 0
			}
			j := lo + rnd.Intn(i-lo)
			*d = ds[j]
			d.dup, d.dupOf = true, j
			continue
		}
		e := choose()
		d.ex = e
		d.guid = guid(prefix)
		var s1, s2 string
		if len(e.pieces) == 1 {
			k := key{e}
			if c, ok := cache[k]; ok {
				s1, s2 = c[0], c[1]
			} else {
				buf = e.body(buf[:0], "")
				s1, s2 = sign(sec, buf)
				cache[k] = [2]string{s1, s2}
			}
		} else {
			d.subst = strconv.Itoa(*fSubst0 + i)
			buf = e.body(buf[:0], d.subst)
			s1, s2 = sign(sec, buf)
		}
		if rnd.Float64() < *fBad {
			d.bad = true
			x := byte('0')
			if s2[len(s2)-1] == '0' {
				x = '1'
			}
			s2 = s2[:len(s2)-1] + string(x)
			s1 = "sha1=" + strings.Repeat("0", 40)
		}
		l := 0
		for _, p := range e.pieces {
			l += len(p)
		}
		l += (len(e.pieces) - 1) * len(d.subst)
		d.head = headFor(t.host, t.path, e.event, d.guid, s1, s2, "application/json", l, "")
	}
	return ds
}

// conn is a minimal HTTP/1.1 client connection: one request, one response at a time.
type conn struct {
	t   target
	c   net.Conn
	buf []byte
	w   []byte
}

func (k *conn) dial() error {
	c, err := net.DialTimeout("tcp", k.t.addr, 5*time.Second)
	if err != nil {
		return err
	}
	k.c = c
	return nil
}

func (k *conn) close() {
	if k.c != nil {
		k.c.Close()
		k.c = nil
	}
}

// readResponse reads one response; it keeps the connection when the framing allows it.
func (k *conn) readResponse() (status int, keep bool, body []byte, err error) {
	n := 0
	if k.buf == nil {
		k.buf = make([]byte, 16384)
	}
	var hdrEnd int
	for {
		if n == len(k.buf) {
			k.buf = append(k.buf, make([]byte, len(k.buf))...)
		}
		m, e := k.c.Read(k.buf[n:])
		n += m
		if i := bytes.Index(k.buf[:n], []byte("\r\n\r\n")); i >= 0 {
			hdrEnd = i + 4
			if len(k.buf) > 12 && bytes.HasPrefix(k.buf, []byte("HTTP/1.1 100")) {
				copy(k.buf, k.buf[hdrEnd:n])
				n -= hdrEnd
				if i := bytes.Index(k.buf[:n], []byte("\r\n\r\n")); i >= 0 {
					hdrEnd = i + 4
					break
				}
				continue
			}
			break
		}
		if e != nil {
			return 0, false, nil, e
		}
	}
	h := k.buf[:hdrEnd]
	if len(h) < 12 {
		return 0, false, nil, fmt.Errorf("short head")
	}
	status, err = strconv.Atoi(string(h[9:12]))
	if err != nil {
		return 0, false, nil, err
	}
	clen, chunked := -1, false
	keep = true
	for _, l := range bytes.Split(h, []byte("\r\n"))[1:] {
		name, v, ok := bytes.Cut(l, []byte(":"))
		if !ok {
			continue
		}
		v = bytes.TrimSpace(v)
		switch strings.ToLower(string(name)) {
		case "content-length":
			clen, _ = strconv.Atoi(string(v))
		case "transfer-encoding":
			chunked = bytes.EqualFold(v, []byte("chunked"))
		case "connection":
			keep = !bytes.EqualFold(v, []byte("close"))
		}
	}
	if status == 204 || status == 304 {
		clen, chunked = 0, false
	}
	done := func() bool {
		b := k.buf[hdrEnd:n]
		if chunked {
			return bytes.HasSuffix(b, []byte("0\r\n\r\n"))
		}
		return clen >= 0 && len(b) >= clen
	}
	for !done() {
		if n == len(k.buf) {
			k.buf = append(k.buf, make([]byte, len(k.buf))...)
		}
		m, e := k.c.Read(k.buf[n:])
		n += m
		if e != nil {
			if clen < 0 && !chunked {
				return status, false, k.buf[hdrEnd:n], nil
			}
			return status, false, k.buf[hdrEnd:n], e
		}
	}
	return status, keep, k.buf[hdrEnd:n], nil
}

func (k *conn) send(d *delivery) (int, error) {
	k.w = append(k.w[:0], d.head...)
	k.w = d.ex.body(k.w, d.subst)
	for try := 0; ; try++ {
		fresh := false
		if k.c == nil {
			if err := k.dial(); err != nil {
				return 0, err
			}
			fresh = true
		}
		k.c.SetDeadline(time.Now().Add(*fTimeout))
		_, err := k.c.Write(k.w)
		var st int
		var keep bool
		if err == nil {
			st, keep, _, err = k.readResponse()
		} else if st2, _, _, e2 := k.readResponse(); e2 == nil { // answered early and closed
			k.close()
			return st2, nil
		}
		if err != nil {
			k.close()
			// A kept connection that the server closed while idle is tried once more.
			if !fresh && try == 0 && st == 0 && !isTimeout(err) {
				continue
			}
			return st, err
		}
		if !keep || *fNewConn {
			k.close()
		}
		return st, nil
	}
}

func isTimeout(err error) bool {
	ne, ok := err.(net.Error)
	return ok && ne.Timeout()
}

// ---- /proc ----

const tick = 100.0 // USER_HZ

func procStat(pid int) (ppid int, cpu, ccpu float64, ok bool) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return
	}
	i := bytes.LastIndexByte(b, ')')
	f := strings.Fields(string(b[i+1:]))
	ppid, _ = strconv.Atoi(f[1])
	g := func(i int) float64 { v, _ := strconv.ParseFloat(f[i], 64); return v / tick }
	return ppid, g(11) + g(12), g(13) + g(14), true
}

func tree(root int) []int {
	kids := map[int][]int{}
	es, _ := os.ReadDir("/proc")
	for _, e := range es {
		p, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		if pp, _, _, ok := procStat(p); ok {
			kids[pp] = append(kids[pp], p)
		}
	}
	out := []int{root}
	for i := 0; i < len(out); i++ {
		out = append(out, kids[out[i]]...)
	}
	return out
}

// treeCPU is the CPU time of a process, its live descendants and its reaped children.
func treeCPU(root int) float64 {
	t := 0.0
	for _, p := range tree(root) {
		if _, c, cc, ok := procStat(p); ok {
			t += c + cc
		}
	}
	return t
}

func rssKB(pid int) int {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", pid))
	if err != nil {
		return 0
	}
	f := strings.Fields(string(b))
	v, _ := strconv.Atoi(f[1])
	return v * os.Getpagesize() / 1024
}

func treePSSKB(root int) (t int) {
	for _, p := range tree(root) {
		b, err := os.ReadFile(fmt.Sprintf("/proc/%d/smaps_rollup", p))
		if err != nil {
			continue
		}
		for _, l := range strings.Split(string(b), "\n") {
			if strings.HasPrefix(l, "Pss:") {
				f := strings.Fields(l)
				v, _ := strconv.Atoi(f[1])
				t += v
			}
		}
	}
	return
}

func loadavg() string {
	b, _ := os.ReadFile("/proc/loadavg")
	f := strings.Fields(string(b))
	if len(f) < 2 {
		return ""
	}
	return f[0] + " " + f[1]
}

// hostCPU gives busy and total CPU seconds of the whole machine, and the part stolen by the host.
func hostCPU() (busy, steal float64) {
	b, _ := os.ReadFile("/proc/stat")
	l, _, _ := strings.Cut(string(b), "\n")
	f := strings.Fields(l)[1:]
	for i, s := range f {
		v, _ := strconv.ParseFloat(s, 64)
		switch i {
		case 3, 4:
		case 7:
			steal += v / tick
		case 8, 9: // guest time is in user time already
		default:
			busy += v / tick
		}
	}
	return
}

func selfCPU() float64 {
	var r syscall.Rusage
	syscall.Getrusage(syscall.RUSAGE_SELF, &r)
	f := func(t syscall.Timeval) float64 { return float64(t.Sec) + float64(t.Usec)/1e6 }
	return f(r.Utime) + f(r.Stime)
}

// sleepUntil is finer than time.Sleep, whose wake-ups are rounded to a millisecond when idle.
func sleepUntil(t time.Time) {
	if dt := time.Until(t); dt > 3*time.Millisecond {
		time.Sleep(dt - 2*time.Millisecond)
	}
	for {
		dt := time.Until(t)
		if dt <= 0 {
			return
		}
		ts := syscall.NsecToTimespec(int64(dt))
		syscall.Nanosleep(&ts, nil)
	}
}

type latency struct {
	P50  float64 `json:"p50"`
	P90  float64 `json:"p90"`
	P99  float64 `json:"p99"`
	P999 float64 `json:"p99.9"`
	Max  float64 `json:"max"`
	Mean float64 `json:"mean"`
}

func quantiles(v []int64) (l latency) {
	if len(v) == 0 {
		return
	}
	sort.Slice(v, func(i, j int) bool { return v[i] < v[j] })
	q := func(p float64) float64 {
		i := int(math.Ceil(p*float64(len(v)))) - 1
		if i < 0 {
			i = 0
		}
		return math.Round(float64(v[i])/1e3) / 1e3
	}
	s := 0.0
	for _, x := range v {
		s += float64(x)
	}
	return latency{q(.5), q(.9), q(.99), q(.999), q(1), math.Round(s/float64(len(v))/1e3) / 1e3}
}

type procReport struct {
	Pid         int     `json:"pid"`
	CPUSeconds  float64 `json:"cpu_s"`
	RSSBeforeMB float64 `json:"rss_before_mb"`
	RSSMaxMB    float64 `json:"rss_max_mb"`
	RSSAfterMB  float64 `json:"rss_after_mb"`
	TreePSSMB   float64 `json:"tree_pss_after_mb"`
}

type report struct {
	Label        string         `json:"label,omitempty"`
	Mode         string         `json:"mode"`
	Mix          []string       `json:"mix"`
	Rate         float64        `json:"rate,omitempty"`
	Conns        int            `json:"connections"`
	Sent         int            `json:"sent"`
	Accepted     int            `json:"accepted"`
	ByStatus     map[string]int `json:"by_status"`
	BadSent      int            `json:"bad_sent"`
	BadByStatus  map[string]int `json:"bad_by_status,omitempty"`
	DupSent      int            `json:"dup_sent"`
	DupByStatus  map[string]int `json:"dup_by_status,omitempty"`
	Errors       map[string]int `json:"errors,omitempty"`
	Seconds      float64        `json:"seconds"`
	PerSecond    float64        `json:"per_second"`
	MBPerSecond  float64        `json:"mb_per_second"`
	MeanBody     float64        `json:"mean_body_bytes"`
	LatencyMs    latency        `json:"latency_ms"`
	ServiceMs    latency        `json:"service_ms"`
	Procs        []procReport   `json:"procs,omitempty"`
	PerCPUSecond float64        `json:"deliveries_per_cpu_second,omitempty"`
	PerCPUServer float64        `json:"deliveries_per_cpu_second_first_pid,omitempty"`
	SelfCPU      float64        `json:"generator_cpu_s"`
	OtherCPU     float64        `json:"other_cpu_s"`
	StealCPU     float64        `json:"steal_cpu_s"`
	LoadBefore   string         `json:"load_before"`
	LoadAfter    string         `json:"load_after"`
	BehindMs     float64        `json:"schedule_slip_max_ms,omitempty"`
	KilledAtS    float64        `json:"killed_at_s,omitempty"`
	OKBeforeKill int            `json:"accepted_before_kill,omitempty"`
}

func pids() (out []int) {
	for _, s := range strings.Split(*fPids, ",") {
		if s = strings.TrimSpace(s); s != "" {
			p, err := strconv.Atoi(s)
			if err != nil {
				die("-pid: %v", err)
			}
			out = append(out, p)
		}
	}
	return
}

func okSet() map[int]bool {
	m := map[int]bool{}
	for _, s := range strings.Split(*fOK, ",") {
		v, _ := strconv.Atoi(strings.TrimSpace(s))
		m[v] = true
	}
	return m
}

func errName(err error) string {
	s := err.Error()
	for _, k := range []string{"connection refused", "connection reset", "broken pipe", "EOF", "i/o timeout", "cannot assign"} {
		if strings.Contains(s, k) {
			return k
		}
	}
	return s
}

func runLoad(t target, ds []delivery, rate float64, conns int, names []string, dur time.Duration) report {
	n := len(ds)
	res := make([]result, n)
	done := make([]bool, n)
	errs := map[string]int{}
	var mu sync.Mutex
	ps := pids()
	r := report{Label: *fLabel, Mix: names, Rate: rate, Conns: conns, LoadBefore: loadavg(), Mode: "closed"}
	if rate > 0 {
		r.Mode = "open"
	}
	offs := make([]int64, 0)
	if rate > 0 {
		offs = make([]int64, n)
		rnd := rand.New(rand.NewSource(*fSeed + 7))
		x := 0.0
		for i := range offs {
			offs[i] = int64(x * 1e9)
			if *fPoisson {
				x += rnd.ExpFloat64() / rate
			} else {
				x = float64(i+1) / rate
			}
		}
	}
	cpu0 := make([]float64, len(ps))
	pr := make([]procReport, len(ps))
	for i, p := range ps {
		pr[i].Pid = p
		pr[i].RSSBeforeMB = float64(rssKB(p)) / 1024
		cpu0[i] = treeCPU(p)
	}
	stop := make(chan struct{})
	var sw sync.WaitGroup
	sw.Add(1)
	go func() {
		defer sw.Done()
		tk := time.NewTicker(100 * time.Millisecond)
		defer tk.Stop()
		for {
			for i, p := range ps {
				if v := float64(rssKB(p)) / 1024; v > pr[i].RSSMaxMB {
					pr[i].RSSMaxMB = v
				}
			}
			select {
			case <-stop:
				return
			case <-tk.C:
			}
		}
	}()
	self0 := selfCPU()
	busy0, steal0 := hostCPU()
	var next atomic.Int64
	var slip atomic.Int64
	var killed atomic.Bool
	var okBefore atomic.Int64
	ok := okSet()
	start := time.Now()
	if *fKill > 0 && len(ps) > 0 {
		time.AfterFunc(*fKill, func() {
			syscall.Kill(ps[0], syscall.SIGKILL)
			killed.Store(true)
			r.KilledAtS = time.Since(start).Seconds()
		})
	}
	var wg sync.WaitGroup
	for w := 0; w < conns; w++ {
		wg.Add(1)
		go func() {
			defer wg.Done()
			k := &conn{t: t}
			defer k.close()
			for {
				i := int(next.Add(1)) - 1
				if i >= n {
					return
				}
				if rate <= 0 && dur > 0 && time.Since(start) > dur {
					return
				}
				if killed.Load() {
					return
				}
				var from time.Time
				if rate > 0 {
					from = start.Add(time.Duration(offs[i]))
					sleepUntil(from)
				}
				t0 := time.Now()
				if rate <= 0 {
					from = t0
				} else if s := int64(t0.Sub(from)); s > slip.Load() {
					slip.Store(s)
				}
				st, err := k.send(&ds[i])
				t1 := time.Now()
				if err != nil {
					mu.Lock()
					errs[errName(err)]++
					mu.Unlock()
					if killed.Load() {
						st = 0
					}
				}
				if ok[st] {
					okBefore.Add(1)
				}
				res[i] = result{int16(st), int64(t1.Sub(from)), int64(t1.Sub(t0))}
				done[i] = true
			}
		}()
	}
	wg.Wait()
	el := time.Since(start)
	r.SelfCPU = round(selfCPU()-self0, 3)
	busy1, steal1 := hostCPU()
	close(stop)
	sw.Wait()
	if *fSettle > 0 {
		time.Sleep(*fSettle)
	}
	tot := 0.0
	for i, p := range ps {
		pr[i].CPUSeconds = round(treeCPU(p)-cpu0[i], 2)
		tot += pr[i].CPUSeconds
		pr[i].RSSAfterMB = round(float64(rssKB(p))/1024, 1)
		pr[i].TreePSSMB = round(float64(treePSSKB(p))/1024, 1)
		pr[i].RSSBeforeMB, pr[i].RSSMaxMB = round(pr[i].RSSBeforeMB, 1), round(pr[i].RSSMaxMB, 1)
	}
	r.Procs = pr
	r.OtherCPU = round(busy1-busy0-tot-r.SelfCPU, 2)
	r.StealCPU = round(steal1-steal0, 2)
	r.ByStatus, r.BadByStatus, r.DupByStatus = map[string]int{}, map[string]int{}, map[string]int{}
	var lat, svc []int64
	bytesSent := 0
	for i := range res {
		if !done[i] {
			continue
		}
		d := &ds[i]
		r.Sent++
		bytesSent += d.ex.size
		s := strconv.Itoa(int(res[i].status))
		if res[i].status == 0 {
			s = "error"
		}
		switch {
		case d.bad:
			r.BadSent++
			r.BadByStatus[s]++
		case d.dup:
			r.DupSent++
			r.DupByStatus[s]++
		default:
			r.ByStatus[s]++
		}
		if ok[int(res[i].status)] {
			r.Accepted++
		}
		if res[i].status != 0 {
			lat = append(lat, res[i].lat)
			svc = append(svc, res[i].service)
		}
	}
	r.Errors = errs
	r.Seconds = round(el.Seconds(), 3)
	r.PerSecond = round(float64(len(lat))/el.Seconds(), 1)
	if r.Sent > 0 {
		r.MBPerSecond = round(float64(bytesSent)/1e6/el.Seconds(), 2)
		r.MeanBody = round(float64(bytesSent)/float64(r.Sent), 0)
	}
	r.LatencyMs, r.ServiceMs = quantiles(lat), quantiles(svc)
	if tot > 0 {
		r.PerCPUSecond = round(float64(len(lat))/tot, 0)
		if pr[0].CPUSeconds > 0 {
			r.PerCPUServer = round(float64(len(lat))/pr[0].CPUSeconds, 0)
		}
	}
	r.BehindMs = round(float64(slip.Load())/1e6, 2)
	if *fKill > 0 {
		r.OKBeforeKill = int(okBefore.Load())
	}
	r.LoadAfter = loadavg()
	if *fOut != "" {
		f, err := os.Create(*fOut)
		if err != nil {
			die("%v", err)
		}
		for i := range res {
			if done[i] {
				fmt.Fprintf(f, "%s %d %s\n", ds[i].guid, res[i].status, ds[i].subst)
			}
		}
		f.Close()
	}
	return r
}

func round(v float64, d int) float64 { p := math.Pow(10, float64(d)); return math.Round(v*p) / p }

func emit(v any) {
	e := json.NewEncoder(os.Stdout)
	if *fPP {
		e.SetIndent("", "  ")
	}
	e.Encode(v)
}

func main() {
	flag.Parse()
	u, err := url.Parse(*fURL)
	if err != nil || u.Scheme != "http" {
		die("-url http://host:port/path")
	}
	host := u.Host
	addr := host
	if u.Port() == "" {
		addr += ":80"
	}
	ip := net.ParseIP(u.Hostname())
	if !(u.Hostname() == "localhost" || ip != nil && ip.IsLoopback()) {
		die("loopback only")
	}
	t := target{addr, host, u.RequestURI()}
	prefix := *fGuidPre
	if prefix == "" {
		prefix = fmt.Sprintf("%08x", uint32(time.Now().UnixNano()/1000))
	}
	rnd := rand.New(rand.NewSource(*fSeed))
	all := loadExamples(*fPayloads, parseSubst(*fSubst))
	if *fProbe {
		probe(t, all, prefix)
		return
	}
	choose, names := chooser(all, *fMix, rnd)
	if *fWarm > 0 {
		kill, out, lab := *fKill, *fOut, *fSettle
		*fKill, *fOut, *fSettle = 0, "", 0
		ds := prepare(t, *fWarm, choose, rnd, prefix)
		*fSubst0 += *fWarm
		runLoad(t, ds, 0, *fConns, names, 0)
		*fKill, *fOut, *fSettle = kill, out, lab
	}
	if *fSearch > 0 {
		search(t, choose, names, rnd, prefix)
		return
	}
	n := *fN
	if *fRate > 0 && *fDur > 0 {
		n = int(*fRate * fDur.Seconds())
	}
	ds := prepare(t, n, choose, rnd, prefix)
	waitQuiet()
	emit(runLoad(t, ds, *fRate, *fConns, names, *fDur))
}

var quietSpent time.Duration

// waitQuiet returns when the machine's CPUs are less busy than -quiet cores for a second, or
// when -quiet-wait has been spent in all.
func waitQuiet() {
	for *fQuiet > 0 && quietSpent < *fQuietMax {
		b0, _ := hostCPU()
		time.Sleep(time.Second)
		b1, _ := hostCPU()
		quietSpent += time.Second
		if b1-b0 < *fQuiet {
			return
		}
	}
}

// search finds the highest open-loop rate with p99 below the limit, nothing refused.
func search(t target, choose func() *example, names []string, rnd *rand.Rand, prefix string) {
	limit := float64(fSearch.Microseconds()) / 1e3
	hi := *fHi
	var steps []map[string]any
	if hi == 0 { // the best of three short closed loops; noise of neighbours only lowers it
		for i := 0; i < 3; i++ {
			waitQuiet()
			ds := prepare(t, 40000, choose, rnd, prefix)
			*fSubst0 += len(ds)
			r := runLoad(t, ds, 0, *fConns, names, 1500*time.Millisecond)
			hi = max(hi, r.PerSecond*1.15)
			steps = append(steps, map[string]any{"closed_loop_per_second": r.PerSecond, "p99": r.LatencyMs.P99, "load": r.LoadAfter, "other_cpu_s": r.OtherCPU})
			time.Sleep(*fGap / 2)
		}
	}
	lo := 0.0
	var best report
	rate := hi * 0.7
	for s := 0; s < *fSteps; s++ {
		good := false
		noisy := 0
		for try := 0; try < *fTries && !good; try++ {
			waitQuiet()
			ds := prepare(t, int(rate*fStep.Seconds()), choose, rnd, prefix)
			*fSubst0 += len(ds)
			r := runLoad(t, ds, rate, *fConns, names, 0)
			good = r.LatencyMs.P99 < limit && r.PerSecond > 0.97*rate && r.Accepted == r.Sent-r.BadSent
			steps = append(steps, map[string]any{"rate": round(rate, 0), "achieved": r.PerSecond, "p50": r.LatencyMs.P50, "p99": r.LatencyMs.P99, "p99.9": r.LatencyMs.P999, "accepted": r.Accepted, "sent": r.Sent, "good": good, "load": r.LoadAfter, "other_cpu_s": r.OtherCPU, "per_cpu_s": r.PerCPUSecond})
			if good && rate > lo {
				lo, best = rate, r
			}
			if !good && *fQuiet > 0 && r.OtherCPU/r.Seconds > *fQuiet && noisy < 4 {
				noisy++ // a failure beside noisy neighbours is no evidence
				try--
			}
			time.Sleep(*fGap)
		}
		if good {
			rate = (lo + hi) / 2
		} else {
			hi = rate
			if lo == 0 {
				rate *= 0.6
			} else {
				rate = (lo + hi) / 2
			}
		}
		if hi-lo < 0.07*hi {
			break
		}
	}
	emit(map[string]any{"label": *fLabel, "max_rate": round(lo, 0), "p99_limit_ms": limit, "best": best, "steps": steps})
}
