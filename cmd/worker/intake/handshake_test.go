package intake

import (
	"encoding/base64"
	"net/http"
	"strings"
	"testing"
	"time"
)

// validation is what Event Grid posts when a subscription is made, as its documentation shows it.
const validation = `[{"id":"2d1781af-3a4c-4d7c-bd0c-e34b19da4e66","topic":"/subscriptions/x","subject":"","data":{"validationCode":"512d38b6-c7b8-40c8-89fe-f46f9e9622b6",` +
	`"validationUrl":"https://rp-eastus2.eventgrid.azure.net:553/validate?id=5"},"eventType":"Microsoft.EventGrid.SubscriptionValidationEvent","eventTime":"2022-10-28T04:23:35.1981776Z","metadataVersion":"1","dataVersion":"1"}]`

// confirmation is what SNS posts when a subscription is made.
func confirmation(arn, token string) string {
	return `{"Type":"SubscriptionConfirmation","MessageId":"165545c9-2a5c-472c-8df2-7ff2be2b3b1b","Token":"` + token + `","TopicArn":"` + arn +
		`","Message":"You have chosen to subscribe","SubscribeURL":"https://sns.us-west-2.amazonaws.com/?Action=ConfirmSubscription","Timestamp":"2012-04-26T20:45:04.751Z"}`
}

// TestServicesThatAskBeforeTheySend: each is answered as its protocol has it, nothing is stored, and nobody else is answered.
func TestServicesThatAskBeforeTheySend(t *testing.T) {
	t.Parallel()
	const arn = "arn:aws:sns:us-west-2:123456789012:MyTopic"
	sns := strings.Repeat("2336412f37", 20)
	slow := senders()
	slow[0].Rate = 2
	ask := func(method, path, body string, header ...string) sent {
		s := post(path, body, header...)
		s.method = method
		return s
	}
	for name, c := range map[string]struct {
		sent   sent
		kind   string
		want   string // of the body
		header [2]string
	}{
		"Event Grid": {sent: post(Path, validation, "aeg-event-type", "SubscriptionValidation"), kind: "application/json", want: `{"validationResponse":"512d38b6-c7b8-40c8-89fe-f46f9e9622b6"}` + "\n"},
		"Graph": {
			sent: post(Path+"?validationToken=Validation%3A%20Testing%20client%20522a8e7e-096a%3Cb%3E", "", "Content-Type", "text/plain; charset=utf-8"),
			kind: "text/plain; charset=utf-8", want: "Validation: Testing client 522a8e7e-096a&lt;b&gt;",
		},
		"Graph, by the address": {sent: post(Path+"?access_token=tok&validationToken=a", "", "Authorization", ""), kind: "text/plain; charset=utf-8", want: "a"},
		"CloudEvents": {
			sent:   ask(http.MethodOptions, Path+"?access_token=tok", "", "Authorization", "", "WebHook-Request-Origin", "eventgrid.azure.net", "WebHook-Request-Rate", "100000"),
			header: [2]string{"Webhook-Allowed-Origin", "eventgrid.azure.net"},
		},
		"CloudEvents, a rate": {sent: ask(http.MethodOptions, Path, "", "WebHook-Request-Origin", "emitter.example.com"), header: [2]string{"Webhook-Allowed-Rate", "120"}},
		"CloudEvents, POST":   {sent: ask(http.MethodOptions, Path, "", "WebHook-Request-Origin", "emitter.example.com"), header: [2]string{"Allow", "POST"}},
		"Okta":                {sent: ask(http.MethodGet, Path, "", "X-Okta-Verification-Challenge", "Qj-4_x"), kind: "application/json", want: `{"verification":"Qj-4_x"}` + "\n"},
		"Office 365":          {sent: post(Path, `{"validationCode":"d13b8a"}`, "Webhook-ValidationCode", "d13b8a"), kind: "application/json", want: "{}\n"},
		"SNS":                 {sent: post(Path, confirmation(arn, sns), "x-amz-sns-message-type", "SubscriptionConfirmation", "Content-Type", "text/plain; charset=UTF-8"), kind: "application/json", want: "{}\n"},
	} {
		d := &drawer{}
		told := ""
		h, lines := newTestHandler(t, Options{Sources: slow, Told: func(_, result string, _ int, _ time.Duration) { told = result }}, d)
		w := c.sent.to(t, h)
		if w.Code != http.StatusOK || w.Body.String() != c.want || c.kind != "" && w.Header().Get("Content-Type") != c.kind || len(d.kept) > 0 || told != Asked {
			t.Errorf("%s: %d %q %v, kept %d, told %q", name, w.Code, w.Body, w.Header(), len(d.kept), told)
		}
		if c.header[0] != "" && w.Header().Get(c.header[0]) != c.header[1] {
			t.Errorf("%s: headers %v", name, w.Header())
		}
		if w.Header().Get("X-Content-Type-Options") != "nosniff" || w.Header().Get("Cache-Control") != "no-store" {
			t.Errorf("%s: it may be taken for a page: %v", name, w.Header())
		}
		if lines.Len() != 1 {
			t.Errorf("%s: lines %v", name, lines.All())
		} else if todo, _ := lines.All()[0].ContextMap()["do"].(string); name == "SNS" && todo != "aws sns confirm-subscription --topic-arn "+arn+" --token "+sns {
			t.Errorf("%s: told %q", name, todo)
		}
		c.sent.header["Authorization"] = "Bearer another"
		c.sent.path, _, _ = strings.Cut(c.sent.path, "access_token=tok&")
		if w := c.sent.to(t, h); w.Code != http.StatusUnauthorized {
			t.Errorf("%s, of a stranger: %d %s", name, w.Code, w.Body)
		}
	}
}

// TestWhatOnlyLooksLikeAnAsking is refused in the words of the intake, or is an event like any other.
func TestWhatOnlyLooksLikeAnAsking(t *testing.T) {
	t.Parallel()
	ask := func(method string, header ...string) sent {
		s := post(Path, "", header...)
		s.method = method
		return s
	}
	for name, c := range map[string]struct {
		sent sent
		want int
	}{
		"an origin that is none":         {ask(http.MethodOptions, "WebHook-Request-Origin", "a\nb"), 400},
		"a long origin":                  {ask(http.MethodOptions, "WebHook-Request-Origin", strings.Repeat("a.", 200)), 400},
		"OPTIONS of a browser":           {ask(http.MethodOptions, "Origin", "https://evil.example"), 405},
		"a signature of nothing":         {sent{http.MethodGet, Path, map[string]string{"X-Signature": "00", "X-Okta-Verification-Challenge": "a"}, ""}, 401},
		"a long challenge":               {ask(http.MethodGet, "X-Okta-Verification-Challenge", strings.Repeat("a", 2000)), 400},
		"a challenge of markup":          {ask(http.MethodGet, "X-Okta-Verification-Challenge", "<script>"), 400},
		"a long token":                   {post(Path+"?validationToken="+strings.Repeat("a", 2000), ""), 400},
		"a token with a line end":        {post(Path+"?validationToken=a%0d%0ab", ""), 400},
		"a token that is empty":          {post(Path+"?validationToken=", event), 202},
		"a wrong token in the address":   {post(Path+"?access_token=toc", event, "Authorization", ""), 401},
		"the address beside the header":  {post(Path+"?access_token=tok", event, "Authorization", "Bearer toc"), 401},
		"an event by the address":        {post(Path+"?access_token=tok", event, "Authorization", ""), 202},
		"a password in the address":      {post(Path+"?access_token="+base64.StdEncoding.EncodeToString([]byte("u:p:w")), event, "Authorization", ""), 401},
		"a validation without a code":    {post(Path, `[{"eventType":"Microsoft.EventGrid.SubscriptionValidationEvent","data":{}}]`, "aeg-event-type", "SubscriptionValidation"), 400},
		"a validation of markup":         {post(Path, `[{"data":{"validationCode":"<b>"}}]`, "aeg-event-type", "SubscriptionValidation"), 400},
		"a notification of Event Grid":   {post(Path, `[{"eventType":"x","data":{"validationCode":"a"}}]`, "aeg-event-type", "Notification"), 202},
		"a topic with a command":         {post(Path, confirmation("arn:aws:sns:us-west-2:123456789012:a;reboot", strings.Repeat("a", 64)), "x-amz-sns-message-type", "SubscriptionConfirmation"), 400},
		"a confirmation without a token": {post(Path, confirmation("arn:aws:sns:us-west-2:123456789012:a", ""), "x-amz-sns-message-type", "SubscriptionConfirmation"), 400},
		"a notification of SNS":          {post(Path, `{"Type":"Notification","Message":"{}"}`, "x-amz-sns-message-type", "Notification"), 202},
	} {
		d := &drawer{}
		h, _ := newTestHandler(t, Options{}, d)
		w := c.sent.to(t, h)
		if w.Code != c.want || (c.want == 202) != (len(d.kept) == 1) {
			t.Errorf("%s: %d %s, want %d", name, w.Code, w.Body, c.want)
		}
		if strings.Contains(w.Body.String(), "<") {
			t.Errorf("%s: answered with what was asked: %s", name, w.Body)
		}
	}
}
