package forwarders

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// found is the path of a program, which a variable may name; the test is skipped without it.
func found(t *testing.T, variable, name string) string {
	t.Helper()
	if p := os.Getenv(variable); p != "" {
		return p
	}
	p, err := exec.LookPath(name)
	if err != nil {
		t.Skipf("%s is not here; %s may name it", name, variable)
	}
	return p
}

// TestWazuhCallsTheScript as its integrator does: file, api_key, hook_url. What is not stored is sent again.
func TestWazuhCallsTheScript(t *testing.T) {
	t.Parallel()
	found(t, "CURL", "curl")
	s := newSite(t, 2)
	script := func(key string) error {
		cmd := exec.CommandContext(t.Context(), "/bin/sh", "wazuh/custom-forager", "wazuh/sample.json", key, s.url)
		cmd.Env = append(os.Environ(), "FORAGER_PAUSE=0")
		out, err := cmd.CombinedOutput()
		if err != nil && strings.Contains(string(out), key) {
			t.Errorf("the token is told: %s", out)
		}
		return err
	}
	if err := script(token); err != nil {
		t.Error(err)
	}
	if got := formatsOf(t, s.taken(t, 1)); !slices.Equal(got, []string{"wazuh"}) {
		t.Errorf("read as %v", got)
	}
	if script("another") == nil {
		t.Error("a wrong token is no failure")
	}
}

// TestTheHiveScriptsChangeOneAddress.
func TestTheHiveScriptsChangeOneAddress(t *testing.T) {
	t.Parallel()
	found(t, "CURL", "curl")
	s := newSite(t, 0)
	cmd := exec.CommandContext(t.Context(), "/bin/sh", "thehive/post-alert", "thehive/sample.json")
	cmd.Env = append(os.Environ(), "FORAGER_TOKEN="+token, "FORAGER_URL="+s.url)
	if out, err := cmd.CombinedOutput(); err != nil || !strings.Contains(string(out), `"sequence":1`) {
		t.Errorf("%v %s", err, out)
	}
	if got := formatsOf(t, s.taken(t, 1)); !slices.Equal(got, []string{"thehive"}) {
		t.Errorf("read as %v", got)
	}
}

// lines are what a firewall sends by syslog.
func lines(t *testing.T) []string {
	t.Helper()
	one := strings.TrimSpace(read(t, "syslog-ng", "sample.txt"))
	var all []string
	for i := range 3 {
		all = append(all, strings.Replace(one, "|100|", fmt.Sprintf("|10%d|", i), 1))
	}
	return all
}

// TestRsyslogForwards: the real daemon, with the file and the script of the folder; the first line is not stored at once.
func TestRsyslogForwards(t *testing.T) {
	t.Parallel()
	found(t, "CURL", "curl")
	daemon := found(t, "RSYSLOGD", "rsyslogd")
	s, dir, port := newSite(t, 1), t.TempDir(), freePort(t)
	script := write(t, dir, "forager-post", read(t, "rsyslog", "forager-post"), 0o700)
	header := write(t, dir, "header", "Authorization: Bearer "+token+"\n", 0o600)
	conf := write(t, dir, "rsyslog.conf", fmt.Sprintf("global(workDirectory=%q)\n", dir)+replaced(t, read(t, "rsyslog", "forager.conf"),
		"/usr/local/bin/forager-post", script, `port="6514"`, `port="`+port+`" address="127.0.0.1"`, `action.resumeInterval="5"`, `action.resumeInterval="1"`), 0o600)
	start(t, []string{"FORAGER_URL=" + s.url, "FORAGER_HEADER_FILE=" + header}, daemon, "-n", "-f", conf, "-i", filepath.Join(dir, "pid"))
	sendLines(t, port, lines(t))
	if got := formatsOf(t, s.taken(t, 3)); !slices.Equal(got, []string{"cef", "cef", "cef"}) {
		t.Errorf("read as %v", got)
	}
}

// TestSyslogNGForwards: the real daemon, with the file of the folder; the first batch is not stored at once.
func TestSyslogNGForwards(t *testing.T) {
	t.Parallel()
	daemon := found(t, "SYSLOG_NG", "syslog-ng")
	s, dir, port := newSite(t, 1), t.TempDir(), freePort(t)
	conf := write(t, dir, "syslog-ng.conf", "@version: 3.38\n"+replaced(t, read(t, "syslog-ng", "forager.conf"),
		"http://forager-intake:8082/v1/detections", s.url, "THE TOKEN OF THE SOURCE", token, "port(6515)", "ip(127.0.0.1) port("+port+")", "time-reopen(2)", "time-reopen(1)",
		"reliable(yes)", "reliable(yes) dir("+dir+")"), 0o600)
	start(t, nil, daemon, "-F", "--no-caps", "-f", conf, "-R", filepath.Join(dir, "persist"), "-c", filepath.Join(dir, "ctl"), "-p", filepath.Join(dir, "pid"))
	sendLines(t, port, lines(t))
	var got []string
	for n := 1; len(got) < 3; n++ { // a batch has as many lines as came within a second
		got = formatsOf(t, s.taken(t, 1))
	}
	if !slices.Equal(got, []string{"cef", "cef", "cef"}) {
		t.Errorf("read as %v", got)
	}
}

// TestTelegrafForwards: the real agent, with the file of the folder; the first body is not stored at once.
func TestTelegrafForwards(t *testing.T) {
	t.Parallel()
	agent := found(t, "TELEGRAF", "telegraf")
	s, dir := newSite(t, 1), t.TempDir()
	var sent struct {
		Metrics []struct{ Fields struct{ Value string } }
	}
	if err := json.Unmarshal([]byte(read(t, "telegraf", "sample.json")), &sent); err != nil {
		t.Fatal(err)
	}
	alert := sent.Metrics[0].Fields.Value
	file := write(t, dir, "eve.json", alert+"\n"+strings.Replace(alert, `"flow_id":1`, `"flow_id":2`, 1)+"\n", 0o600)
	conf := write(t, dir, "telegraf.conf", replaced(t, read(t, "telegraf", "telegraf.conf"), "/var/log/suricata/eve.json", file, "saved-or-end", "beginning",
		"http://forager-intake:8082/v1/detections", s.url, "THE TOKEN OF THE SOURCE", token), 0o600)
	start(t, nil, agent, "--config", conf)
	var got []string
	for n := 1; len(got) < 2; n++ { // a body has as many lines as were read within a second
		got = formatsOf(t, s.taken(t, 1))
	}
	if !slices.Equal(got, []string{"suricata", "suricata"}) {
		t.Errorf("read as %v", got)
	}
}

// start runs a daemon until the test ends.
func start(t *testing.T, env []string, program string, args ...string) {
	t.Helper()
	cmd := exec.CommandContext(context.WithoutCancel(t.Context()), program, args...)
	cmd.Env = append(os.Environ(), env...)
	log := write(t, t.TempDir(), "log", "", 0o600)
	out, err := os.OpenFile(log, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stdout, cmd.Stderr = out, out
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // with the scripts that it starts
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
		_ = cmd.Wait()
		_ = out.Close()
		if t.Failed() {
			t.Logf("%s said: %s", filepath.Base(program), read(t, log))
		}
	})
}

// sendLines sends lines as a firewall does, once somebody listens.
func sendLines(t *testing.T, port string, all []string) {
	t.Helper()
	var conn net.Conn
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for range 400 {
		var err error
		if conn, err = new(net.Dialer).DialContext(t.Context(), "tcp", "127.0.0.1:"+port); err == nil {
			break
		}
		<-tick.C
	}
	if conn == nil {
		t.Fatal("nobody listens for syslog")
	}
	defer conn.Close()
	if _, err := io.WriteString(conn, strings.Join(all, "\n")+"\n"); err != nil {
		t.Fatal(err)
	}
}

// freePort is a port of loopback that nobody listens to.
func freePort(t *testing.T) string {
	t.Helper()
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	_, port, err := net.SplitHostPort(l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	return port
}
