package hive_test

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"slices"
	"strconv"
	"strings"
	"testing"

	"forager/hive"
)

func contractObservables(t *testing.T, c contract) {
	in := c.opened(t, hive.NewCase{Description: "d"})
	first, err := c.AddObservables(t.Context(), in.ID, hive.NewObservable{
		DataType: "domain", Data: []string{"a.example", "b.example"}, Message: "m", TLP: new(0), Tags: []string{"t"}, IOC: true, Sighted: true, IgnoreSimilarity: true})
	must(t, err)
	if len(first.Created) != 2 || len(first.Refused) != 0 || !first.Created[0].IOC || first.Created[0].TLP != 0 || first.Created[0].PAP != 2 {
		t.Fatalf("first %+v", first)
	}
	partly, err := c.AddObservables(t.Context(), strconv.Itoa(in.Number), hive.NewObservable{DataType: "domain", Data: []string{"b.example", "c.example"}})
	must(t, err)
	if len(partly.Created) != 1 || len(partly.Refused) != 1 || partly.Refused[0].Data != "b.example" || !partly.Refused[0].Exists() {
		t.Errorf("partly %+v", partly)
	}
	again, err := c.AddObservables(t.Context(), in.ID, hive.NewObservable{DataType: "domain", Data: []string{"c.example"}})
	must(t, err)
	if len(again.Created) != 0 || len(again.Refused) != 1 || again.Refused[0].Data != "c.example" || !again.Refused[0].Exists() {
		t.Errorf("again %+v", again)
	}
	id := first.Created[0].ID
	must(t, c.UpdateObservable(t.Context(), id, hive.ObservableUpdate{IOC: new(false), Message: new("n"), AddTags: []string{"u"}, RemoveTags: []string{"t"}, TLP: new(4)}))
	must(t, c.DeleteObservable(t.Context(), first.Created[1].ID))
	all := list(t, c.CaseObservables(t.Context(), in.ID))
	if len(all) != 2 {
		t.Fatalf("%d observables: %+v", len(all), all)
	}
	i := slices.IndexFunc(all, func(o hive.Observable) bool { return o.ID == id })
	if o := all[max(i, 0)]; i < 0 || o.IOC || o.Message != "n" || o.TLP != 4 || !slices.Equal(o.Tags, []string{"u"}) {
		t.Errorf("updated %+v", all)
	}
	_, err = c.AddObservables(t.Context(), "~999999999", hive.NewObservable{DataType: "ip", Data: []string{"192.0.2.1"}})
	wantStatus(t, err, 404, "NotFoundError")
}

func contractFiles(t *testing.T, c contract) {
	in := c.opened(t, hive.NewCase{Description: "d"})
	const content = "MZ\x00\r\n--boundary\r\n"
	sum := sha256.Sum256([]byte(content))
	for i, size := range []int64{int64(len(content)), 0} { // known, and in chunks
		name := "a \"b\" é" + strconv.Itoa(i) + ".bin"
		text := content + strings.Repeat("x", i)
		result, err := c.AddFile(t.Context(), in.ID, hive.NewObservable{DataType: "file", Message: "m"},
			hive.Upload{Name: name, ContentType: "application/x-dosexec", Size: size, Body: strings.NewReader(text)})
		must(t, err)
		if len(result.Created) != 1 || result.Created[0].Attachment == nil || result.Created[0].Attachment.Size != int64(len(text)) {
			t.Fatalf("result %+v", result)
		}
		a := result.Created[0].Attachment
		if i == 0 && (a.ContentID != hex.EncodeToString(sum[:]) || !slices.Contains(a.Hashes, a.ContentID)) {
			t.Errorf("attachment %+v", a)
		}
		body, err := c.DownloadObservable(t.Context(), result.Created[0].ID, a.ID)
		must(t, err)
		got, err := io.ReadAll(body)
		must(t, errors.Join(err, body.Close()))
		if string(got) != text {
			t.Errorf("downloaded %q", got)
		}
	}
	again, err := c.AddFile(t.Context(), in.ID, hive.NewObservable{DataType: "file"}, hive.Upload{Name: "other.bin", Body: strings.NewReader(content)})
	must(t, err)
	t.Logf("the same content under another name: %d created, %d refused", len(again.Created), len(again.Refused))
}
