package intake

import (
	"encoding/json"
	"html"
	"net/http"
	"regexp"
	"strconv"

	"go.uber.org/zap"
)

// Services that ask before they send: whoever makes a subscription with them names an address, and they want a sign from there that
// their events are welcome. A source that has proved itself gets it; the question is no event and is not stored. What is given
// back is bounded, plain and never taken for a page.

// longestAsked is how long what a service wants back may be, bytes.
const longestAsked = 1024

// reply is the answer to such a question, and what an operator is told.
type reply struct {
	service string // in the line that is written
	do      string // what the operator has to do; empty is nothing
	header  map[string]string
	kind    string // Content-Type; empty: no body
	body    string
}

// What a service may want back: printable, and nothing that a page could act upon.
var (
	plainWord = regexp.MustCompile(`^[A-Za-z0-9._~:/+=-]+$`)
	origin    = regexp.MustCompile(`^(?:\*|[A-Za-z0-9.:-]{1,253})$`)
	topicName = regexp.MustCompile(`^arn:aws[a-z-]{0,20}:sns:[a-z0-9-]{1,32}:\d{12}:[A-Za-z0-9_.-]{1,256}$`)
	snsToken  = regexp.MustCompile(`^[0-9a-f]{32,}$`)
)

func notAnswerable() *problem {
	return unreadable("what the service wants back is missing, or is not plain and short")
}

// mayAsk tells whether a request without a body may be a question: CloudEvents' abuse protection (OPTIONS), Okta's verification (GET).
func mayAsk(r *http.Request) bool {
	return r.Method == http.MethodOptions && r.Header.Get("Webhook-Request-Origin") != "" ||
		r.Method == http.MethodGet && r.Header.Get("X-Okta-Verification-Challenge") != ""
}

// asked answers a sender that is known by its head.
func (t *taking) asked() (refused *problem) {
	switch {
	case t.sender != nil:
		t.answer, refused = t.askedInHead()
	case t.r.Method != http.MethodPost: // a signature of nothing
		refused = stranger()
	}
	return refused
}

func (t *taking) askedByBody() (refused *problem) {
	t.answer, refused = t.askedInBody()
	return refused
}

// askedInHead answers a question that needs no body. Both nil: it is none.
func (t *taking) askedInHead() (*reply, *problem) {
	switch t.r.Method {
	case http.MethodOptions: // github.com/cloudevents/spec, http-webhook.md, section 4
		from := t.r.Header.Get("Webhook-Request-Origin")
		if !origin.MatchString(from) {
			return nil, notAnswerable()
		}
		rate := "*"
		if t.sender.Rate > 0 {
			rate = strconv.Itoa(60 * t.sender.Rate) // a minute
		}
		return &reply{service: "CloudEvents", header: map[string]string{"Webhook-Allowed-Origin": from, "Webhook-Allowed-Rate": rate, "Allow": http.MethodPost}}, nil
	case http.MethodGet: // developer.okta.com, event hooks, one-time verification
		challenge := t.r.Header.Get("X-Okta-Verification-Challenge")
		return jsonReply("Okta", "verification", challenge)
	}
	if t.r.URL.RawQuery == "" {
		return nil, nil
	}
	token := t.r.URL.Query().Get("validationToken") // learn.microsoft.com/graph, change notifications, endpoint validation
	if token == "" {
		return nil, nil
	}
	if len(token) > longestAsked || !isPlain(token) {
		return nil, notAnswerable()
	}
	return &reply{service: "Microsoft Graph", kind: "text/plain; charset=utf-8", body: html.EscapeString(token)}, nil
}

// askedInBody answers a question that a body asks. Both nil: it is an event.
func (t *taking) askedInBody() (*reply, *problem) {
	switch h := t.r.Header; {
	case h.Get("Aeg-Event-Type") == "SubscriptionValidation": // learn.microsoft.com/azure/event-grid, endpoint validation
		var events []struct {
			Data struct {
				ValidationCode string `json:"validationCode"`
			} `json:"data"`
		}
		if json.Unmarshal(t.body, &events) != nil || len(events) != 1 {
			return nil, notAnswerable()
		}
		return jsonReply("Event Grid", "validationResponse", events[0].Data.ValidationCode)
	case h.Get("X-Amz-Sns-Message-Type") == "SubscriptionConfirmation": // docs.aws.amazon.com/sns, HTTP subscription confirmation
		var asked struct{ TopicArn, Token string }
		if json.Unmarshal(t.body, &asked) != nil || !topicName.MatchString(asked.TopicArn) || len(asked.Token) > longestAsked || !snsToken.MatchString(asked.Token) {
			return nil, notAnswerable()
		}
		return &reply{
			service: "Amazon SNS", do: "aws sns confirm-subscription --topic-arn " + asked.TopicArn + " --token " + asked.Token, // its address is never fetched
			kind: "application/json", body: "{}\n",
		}, nil
	case h.Get("Webhook-Validationcode") != "": // learn.microsoft.com/office/office-365-management-api: it wants 200 and nothing else
		return &reply{service: "Office 365 Management", kind: "application/json", body: "{}\n"}, nil
	default:
		return nil, nil
	}
}

// jsonReply gives one word back.
func jsonReply(service, name, value string) (*reply, *problem) {
	if len(value) > longestAsked || !plainWord.MatchString(value) {
		return nil, notAnswerable()
	}
	return &reply{service: service, kind: "application/json", body: `{"` + name + `":"` + value + "\"}\n"}, nil
}

// write answers.
func (a *reply) write(w http.ResponseWriter) {
	for name, value := range a.header {
		w.Header().Set(name, value)
	}
	if a.kind != "" {
		w.Header().Set("Content-Type", a.kind)
	}
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(http.StatusOK)
	_, _ = w.Write([]byte(a.body))
}

// asked writes a line for each question: it is rare, and somebody is waiting for it.
func (j *journal) asked(source string, a *reply) {
	if !j.limit.Allow() {
		j.omitted.Add(1)
		return
	}
	fields := []zap.Field{zap.String("source", source), zap.String("service", a.service)}
	if a.do != "" {
		fields = append(fields, zap.String("do", a.do))
	}
	j.log.Info("a service asked whether it may send", fields...)
}
