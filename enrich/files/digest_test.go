package files_test

import (
	"errors"
	"strings"
	"testing"
	"testing/iotest"

	"forager/enrich/files"
)

// TestAContentHasADigestOfAnyUsualKind: the digests of "abc" are those of RFC 1321, FIPS 180-4.
func TestAContentHasADigestOfAnyUsualKind(t *testing.T) {
	t.Parallel()
	for digest, want := range map[string]bool{
		"900150983cd24fb0d6963f7d28e17f72":                                 true,
		"a9993e364706816aba3e25717850c26c9cd0d89d":                         true,
		"ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad": true,
		"ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f": true,
		"d41d8cd98f00b204e9800998ecf8427e": false, // of nothing
		"3:a:b":                            false,
		"":                                 false,
	} {
		if has, err := files.HasDigest(strings.NewReader("abc"), []string{"ssdeep", digest}); has != want || err != nil {
			t.Errorf("%s: %v, error %v", digest, has, err)
		}
	}
	broken := errors.New("broken")
	if has, err := files.HasDigest(iotest.ErrReader(broken), []string{"900150983cd24fb0d6963f7d28e17f72"}); has || !errors.Is(err, broken) {
		t.Errorf("%v, error %v", has, err)
	}
	if has, err := files.HasDigest(iotest.ErrReader(broken), []string{"ssdeep"}); has || err != nil {
		t.Errorf("a content that cannot decide was read: %v, error %v", has, err)
	}
}

func TestPasswordsOfArchives(t *testing.T) {
	t.Parallel()
	for password, good := range map[string]bool{
		files.DefaultPassword: true, "!": true, "~": true, strings.Repeat("x", 64): true,
		"": false, strings.Repeat("x", 65): false, "a b": false, "a`b": false, "a\n": false, "\x7f": false, "ü": false,
	} {
		if err := files.CheckPassword(password); (err == nil) != good {
			t.Errorf("%q: %v", password, err)
		}
	}
}
