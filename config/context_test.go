package config

import (
	"errors"
	"io/fs"
	"strings"
	"testing"
)

// contexts are files of the nats command, as it writes them.
var contexts = map[string]string{
	"/home/anna/.config/nats/context/soc.json": `{"description":"","url":"tls://nats.soc:4222","socks_proxy":"","token":"","user":"","password":"","creds":"~/soc.creds",
		"nkey":"","cert":"","key":"","ca":"$HOME/ca.pem","nsc":"","jetstream_domain":"hub","jetstream_api_prefix":"","jetstream_event_prefix":"","inbox_prefix":"_INBOX_soc",
		"user_jwt":"","color_scheme":"","tls_first":true}`,
	"/home/anna/.config/nats/context/user.json": `{"url":"nats://n:4222","user":"anna","password":"a-password"}`,
	"/xdg/nats/context/soc.json":                `{"url":"nats://xdg:4222","token":"a-token"}`,
	"/home/anna/.config/nats/context/nsc.json":  `{"nsc":"nsc://o/a/u"}`,
	"/home/anna/.config/nats/context/op.json":   `{"url":"nats://n:4222","creds":"op://vault/creds"}`,
	"/home/anna/.config/nats/context/bad.json":  `{"password":"a-password"`,
}

func withContext(t *testing.T, text string, env ...string) (*Config, error) {
	t.Helper()
	return Load(Source{Name: "forager.yaml", Text: []byte(text), Env: append([]string{"HOME=/home/anna", "FORAGER_HIVE_URL=http://h", "FORAGER_HIVE_API_KEY=k"}, env...), Connects: []string{ToNATS},
		ReadFile: func(name string) ([]byte, error) {
			if text, ok := contexts[name]; ok {
				return []byte(text), nil
			}
			if name == "/password" {
				return []byte("of-a-file"), nil
			}
			return nil, fs.ErrNotExist
		}})
}

func TestAContextOfTheNATSCommandSaysWhatNobodyElseDoes(t *testing.T) {
	c, err := withContext(t, "nats: {context: soc}")
	if err != nil {
		t.Fatal(err)
	}
	n := c.NATS
	if n.URL != "tls://nats.soc:4222" || n.CredsFile != "/home/anna/soc.creds" || n.CAFile != "/home/anna/ca.pem" || n.Domain != "hub" || n.InboxPrefix != "_INBOX_soc" || !n.TLSFirst {
		t.Errorf("%+v", n)
	}
	if n.Stream != "DETECTIONS" {
		t.Errorf("the stream is %q", n.Stream)
	}
	c, err = withContext(t, "", "FORAGER_NATS_CONTEXT=soc", "XDG_CONFIG_HOME=/xdg")
	if err != nil || c.NATS.URL != "nats://xdg:4222" || c.NATS.Token.Reveal() != "a-token" || c.NATS.CredsFile != "" {
		t.Errorf("%v: %+v", err, c.NATS)
	}
	c, err = withContext(t, "nats: {context: user}")
	if err != nil || c.NATS.User != "anna" || c.NATS.Password.Reveal() != "a-password" {
		t.Errorf("%v: %+v", err, c.NATS)
	}
}

// TestWhatIsWrittenGoesBeforeTheContext, and who is written takes the place of whoever the context names.
func TestWhatIsWrittenGoesBeforeTheContext(t *testing.T) {
	c, err := withContext(t, "nats: {context: user, url: 'nats://own:4222'}")
	if err != nil || c.NATS.URL != "nats://own:4222" || c.NATS.User != "anna" {
		t.Errorf("%v: %+v", err, c.NATS)
	}
	c, err = withContext(t, "nats: {context: user, credsFile: /own.creds}")
	if err != nil || c.NATS.CredsFile != "/own.creds" || c.NATS.User != "" || !c.NATS.Password.Empty() {
		t.Errorf("%v: %+v", err, c.NATS)
	}
	c, err = withContext(t, "nats: {context: user, user: bo, passwordFile: /password}")
	if err != nil || c.NATS.User != "bo" || c.NATS.Password.Reveal() != "of-a-file" {
		t.Errorf("%v: %+v", err, c.NATS)
	}
	c, err = withContext(t, "nats: {context: soc}", "FORAGER_NATS_TOKEN=mine")
	if err != nil || c.NATS.Token.Reveal() != "mine" || c.NATS.CredsFile != "" {
		t.Errorf("%v: %+v", err, c.NATS)
	}
}

func TestContextsThatCannotBeUsedAreRefused(t *testing.T) {
	for name, want := range map[string]string{
		"gone": "/home/anna/.config/nats/context/gone.json: nats context ls shows", "../soc": "without a path", "/xdg/soc": "without a path", "..": "without a path",
		"nsc": "the context has nsc", "op": "a value by op://", "bad": "is no JSON of a context",
	} {
		_, err := withContext(t, "nats: {context: '"+name+"'}")
		if !errors.Is(err, ErrValue) || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "a-password") {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := withContext(t, "nats: {context: soc}", "HOME="); !errors.Is(err, ErrValue) {
		t.Errorf("without a home: %v", err)
	}
	// Who does not connect needs no context.
	if _, err := Load(Source{Text: []byte("nats: {context: gone}")}); err != nil {
		t.Errorf("offline: %v", err)
	}
}
