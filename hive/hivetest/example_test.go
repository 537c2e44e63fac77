package hivetest_test

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"time"

	"forager/hive/hivetest"
)

func Example() {
	h := hivetest.New(hivetest.Options{})
	server, err := hivetest.Listen("127.0.0.1:0", h)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer server.Close()

	// Every answer to a write is lost after its commit, as behind a proxy that gives up.
	h.Set(hivetest.Misbehaviour{Latency: time.Millisecond, Ambiguous: 1, AmbiguousBy: http.StatusGatewayTimeout})
	for range 2 { // a client that sends blindly again …
		body := bytes.NewBufferString(`{"title":"Beacon on web-1","description":"…","tags":["forager:00ff"]}`)
		req, err := http.NewRequestWithContext(context.Background(), http.MethodPost, server.URL()+"/api/v1/case", body)
		if err != nil {
			fmt.Println(err)
			return
		}
		req.Header.Set("Authorization", "Bearer "+hivetest.DefaultAPIKey)
		req.Header.Set("Content-Type", "application/json")
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Println(res.Status)
		_ = res.Body.Close()
	}
	http.DefaultClient.CloseIdleConnections()
	stats := h.Stats(0) // … has two cases for one thing
	fmt.Println(stats.Cases, "cases,", stats.Duplicates.Cases, "of them superfluous")
	// Output:
	// 504 Gateway Timeout
	// 504 Gateway Timeout
	// 2 cases, 1 of them superfluous
}

func ExampleHive_On() {
	h := hivetest.New(hivetest.Options{})
	// The third observable call of a test is refused as too large; the rest go on.
	calls := 0
	h.On(hivetest.BeforeEffect, "POST /api/v1/case/{id}/observable", func(hivetest.Call) hivetest.Action {
		if calls++; calls == 3 {
			return hivetest.Action{Status: http.StatusRequestEntityTooLarge}
		}
		return hivetest.Action{}
	})
}
