package pipeline

import (
	"testing"
	"time"

	"github.com/nats-io/jwt/v2"
	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nkeys"

	"forager/pipeline/natstest"
	"forager/pipeline/stream"
)

// operator is a NATS operator with one account, as "nsc" makes them.
type operator struct {
	t       *testing.T
	key     nkeys.KeyPair
	account nkeys.KeyPair
}

func newOperator(t *testing.T) *operator {
	t.Helper()
	key, err := nkeys.CreateOperator()
	if err != nil {
		t.Fatal(err)
	}
	account, err := nkeys.CreateAccount()
	if err != nil {
		t.Fatal(err)
	}
	return &operator{t, key, account}
}

func public(t *testing.T, pair nkeys.KeyPair) string {
	t.Helper()
	key, err := pair.PublicKey()
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// serve makes a server trust the operator, with the account in memory and these users revoked.
func (op *operator) serve(o *server.Options, revoked ...string) {
	op.t.Helper()
	claims := jwt.NewAccountClaims(public(op.t, op.account))
	for _, user := range revoked {
		claims.RevokeAt(user, time.Now().Add(time.Hour)) // whenever it is signed: a revocation counts whole seconds
	}
	text, err := claims.Encode(op.key)
	if err != nil {
		op.t.Fatal(err)
	}
	resolver := &server.MemAccResolver{}
	if err := resolver.Store(claims.Subject, text); err != nil {
		op.t.Fatal(err)
	}
	signed, err := jwt.NewOperatorClaims(public(op.t, op.key)).Encode(op.key)
	if err != nil {
		op.t.Fatal(err)
	}
	trusted, err := jwt.DecodeOperatorClaims(signed)
	if err != nil {
		op.t.Fatal(err)
	}
	o.JetStream = false // it would need a system account
	o.TrustedOperators, o.AccountResolver = []*jwt.OperatorClaims{trusted}, resolver
}

// credentials is a user's file; until is when it expires, zero is never.
func (op *operator) credentials(user nkeys.KeyPair, until time.Time) []byte {
	op.t.Helper()
	claims := jwt.NewUserClaims(public(op.t, user))
	if !until.IsZero() {
		claims.Expires = until.Unix()
	}
	text, err := claims.Encode(op.account)
	if err != nil {
		op.t.Fatal(err)
	}
	seed, err := user.Seed()
	if err != nil {
		op.t.Fatal(err)
	}
	file, err := jwt.FormatUserConfig(text, seed)
	if err != nil {
		op.t.Fatal(err)
	}
	return file
}

// credentialsRotation: the account revokes all users but that of the generation.
func credentialsRotation(t *testing.T) rotation {
	t.Helper()
	op := newOperator(t)
	var users []nkeys.KeyPair
	for range generations {
		user, err := nkeys.CreateUser()
		if err != nil {
			t.Fatal(err)
		}
		users = append(users, user)
	}
	return rotation{
		restart: true,
		server: func(_ *testing.T, o *server.Options, n int) {
			op.serve(o, public(op.t, users[len(users)-n]))
		},
		worker: func(t *testing.T, folder string, n int) stream.Connection {
			return stream.Connection{Credentials: inFile(t, folder, "user.creds", op.credentials(users[n], time.Time{}))}
		},
	}
}

// TestExpiredCredentialsAreExchanged: a user that expires while it is connected, and for a while
// has no successor, as where a controller writes the next file late.
func TestExpiredCredentialsAreExchanged(t *testing.T) {
	t.Parallel()
	op := newOperator(t)
	user, err := nkeys.CreateUser()
	if err != nil {
		t.Fatal(err)
	}
	s, err := natstest.Start(t.TempDir(), natstest.With(func(o *server.Options) { op.serve(o) }))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	folder := t.TempDir()
	link := connectAs(t, s, stream.Connection{
		Credentials: inFile(t, folder, "user.creds", op.credentials(user, time.Now().Add(3*time.Second))), Pause: 20 * time.Millisecond,
	})
	waitUntil(t, link.Connected)
	waitUntil(t, tried(link, 3))
	inFile(t, folder, "user.creds", op.credentials(user, time.Now().Add(time.Hour)))
	waitUntil(t, link.Connected)
}
