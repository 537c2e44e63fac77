package hive_test

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"testing"
	"time"

	"forager/hive"
)

// TestAnUploadSentAgainIsWhole: a server may refuse an upload in its middle and go on reading. What
// is sent again begins at the beginning, and nobody else reads on in it.
func TestAnUploadSentAgainIsWhole(t *testing.T) {
	t.Parallel()
	content := make([]byte, 32<<20)
	for i := range content {
		content[i] = byte(i >> 8)
	}
	got := make(chan []byte, 1)
	w := listen(t, func(_ *wire, n int, conn net.Conn) {
		req, err := http.ReadRequest(bufio.NewReader(conn))
		if err != nil {
			return
		}
		_, _ = io.WriteString(conn, "HTTP/1.1 100 Continue\r\n\r\n")
		if n == 1 {
			_, _ = io.CopyN(io.Discard, req.Body, 1<<20)
			const busy = `{"type":"Unavailable","message":"busy"}` // TheHive's own: whoever else says it may have passed all on
			fmt.Fprintf(conn, "HTTP/1.1 503 Busy\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", len(busy), busy)
			_, _ = io.Copy(io.Discard, req.Body)
			return
		}
		file, _, err := req.FormFile("attachment")
		if err != nil {
			t.Error(err)
			return
		}
		all, err := io.ReadAll(file)
		if err != nil {
			t.Error(err)
		}
		got <- all
		const answer = `[{"_id":"~1","dataType":"file"}]`
		fmt.Fprintf(conn, "HTTP/1.1 201 Created\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", len(answer), answer)
	})
	_, err := w.client(t).AddFile(t.Context(), "1", hive.NewObservable{DataType: "file"},
		hive.Upload{Name: "big", Body: bytes.NewReader(content), Size: int64(len(content)), Timeout: 5 * time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	if all := <-got; !bytes.Equal(all, content) {
		t.Errorf("%d bytes arrived, of %d, and they differ", len(all), len(content))
	}
}
