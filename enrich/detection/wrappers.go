package detection

import (
	"strings"

	"forager/enrich/detection/tree"
)

// maxLevels bounds arrays, strings and envelopes in one another, beyond what the envelopes alone may be.
const maxLevels = 64

// wrapper is a known envelope: when all of has are there, the event is at the first of inner.
type wrapper struct {
	name  string
	has   []string
	not   string
	inner []string  // of strict ones a member, of others a way of members ("a/b/c", "*" is any) through arrays
	id    string    // member that holds the identity
	drop  string    // what it holds is no detection, for this reason
	says  [2]string // a member, and what it has to say
}

// strict wrappers come before any format: their names are unmistakable.
var strict = []wrapper{
	{name: "cloudevents", has: []string{"specversion", "id", "source", "type"}, inner: []string{"data", "data_base64"}},
	{name: "elasticsearch hit", has: []string{"_source", "_id"}, inner: []string{"_source"}, id: "_id"},
	{name: "elasticsearch hit", has: []string{"_source", "_index"}, inner: []string{"_source"}},
	{name: "elasticsearch hit", has: []string{"fields", "_index"}, not: "_source", inner: []string{"fields"}, id: "_id"},
	{name: "eventbridge", has: []string{"detail-type", "detail", "source"}, inner: []string{"detail"}, id: "id"},
	{name: "sns", has: []string{"Type", "MessageId", "TopicArn", "Message"}, inner: []string{"Message"}, id: "MessageId"},
}

// around are wrappers that are tried on what no format knows, in this order: one that holds nothing
// that is known is none.
var around = []wrapper{
	{name: "cloudwatch subscription", has: []string{"messageType", "logEvents"}, says: [2]string{"messageType", "CONTROL_MESSAGE"}, drop: DropHeartbeat},
	{name: "cloudwatch subscription", has: []string{"messageType", "logEvents", "logGroup"}, inner: []string{"logEvents/message", "logEvents/extractedFields"}},
	{name: "cloudwatch subscription", has: []string{"awslogs"}, inner: []string{"awslogs/data"}},
	{name: "s3 notification", has: []string{"eventSource", "eventName", "s3"}, drop: DropNotDetection},
	{name: "s3 notification", has: []string{"Service", "Event", "Bucket", "HostId"}, drop: DropNotDetection},
	{name: "kubernetes audit", has: []string{"auditID", "stage", "verb"}, drop: DropNotDetection},
	{name: "intune", has: []string{"operationName", "properties", "tenantId"}, says: [2]string{"category", "OperationalLogs"}, drop: DropNotDetection},
	{name: "intune", has: []string{"operationName", "properties", "tenantId"}, says: [2]string{"category", "DeviceComplianceOrg"}, drop: DropNotDetection},
	{name: "intune", has: []string{"operationName", "properties", "tenantId"}, says: [2]string{"category", "Devices"}, drop: DropNotDetection},
	{name: "lambda sns", has: []string{"Records"}, inner: []string{"Records/Sns/Message"}},
	{name: "lambda kafka", has: []string{"eventSource", "records"}, inner: []string{"records/*/value"}},
	{name: "lambda kinesis", has: []string{"Records"}, inner: []string{"Records/kinesis/data"}},
	{name: "sqs", has: []string{"Messages"}, inner: []string{"Messages/Body"}},
	{name: "sqs", has: []string{"messageId", "receiptHandle", "body"}, inner: []string{"body"}},
	{name: "sqs", has: []string{"MessageId", "ReceiptHandle", "Body"}, inner: []string{"Body"}},
	{name: "sqs", has: []string{"Body", "MessageAttributes"}, inner: []string{"Body"}},
	{name: "firehose", has: []string{"records", "requestId"}, inner: []string{"records/data"}},
	{name: "firehose", has: []string{"records", "deliveryStreamArn"}, inner: []string{"records/data"}},
	{name: "kinesis", has: []string{"Data", "PartitionKey"}, inner: []string{"Data"}},
	{name: "kinesis", has: []string{"data", "partitionKey"}, inner: []string{"data"}},
	{name: "api gateway", has: []string{"isBase64Encoded", "body"}, inner: []string{"body"}},
	{name: "pub/sub", has: []string{"message", "subscription"}, inner: []string{"message/data"}},
	{name: "pub/sub", has: []string{"receivedMessages"}, inner: []string{"receivedMessages/message/data"}},
	{name: "pub/sub", has: []string{"data", "messageId"}, inner: []string{"data"}},
	{name: "event grid", has: []string{"eventType", "eventTime", "subject", "data"}, inner: []string{"data"}},
	{name: "service bus", has: []string{"ContentData"}, inner: []string{"ContentData"}},
	{name: "otlp", has: []string{"resourceLogs"}, inner: []string{"resourceLogs/scopeLogs/logRecords/body", "resourceLogs/instrumentationLibraryLogs/logRecords/body"}},
	{name: "otlp", has: []string{"scopeLogs"}, inner: []string{"scopeLogs/logRecords/body"}},
	{name: "otlp", has: []string{"logRecords"}, inner: []string{"logRecords/body"}},
	{name: "otlp value", has: []string{"kvlistValue"}, inner: []string{"kvlistValue"}},
	{name: "otlp value", has: []string{"arrayValue"}, inner: []string{"arrayValue/values"}},
	{name: "otlp value", has: []string{"stringValue"}, inner: []string{"stringValue"}},
	{name: "otlp value", has: []string{"bytesValue"}, inner: []string{"bytesValue"}},
	{name: "graylog event", has: []string{"event_definition_id", "backlog"}, inner: []string{"backlog"}},
	{name: "gelf", has: []string{"host", "short_message"}, inner: []string{"full_message", "short_message", gelfFields}},
	{name: "proofpoint siem", has: []string{"queryEndTime"}, inner: []string{"messagesDelivered", "messagesBlocked", "clicksPermitted", "clicksBlocked"}},
	{name: "elasticsearch answer", has: []string{"hits"}, inner: []string{"hits/hits"}},
	{name: "kibana action", has: []string{"alerts"}, inner: []string{"alerts/new/data", "alerts/all/data"}},
	{name: "kibana action", has: []string{"context"}, inner: []string{"context/alerts", "context/hits"}},
	{name: "journald", has: []string{"MESSAGE"}, inner: []string{"MESSAGE"}},
	{name: "shuffle", has: []string{"all_fields"}, inner: []string{"all_fields"}},
	{name: "fluentd", has: []string{"record"}, inner: []string{"record"}},
	{name: "telegraf", has: []string{"metrics"}, inner: []string{"metrics"}},
	{name: "telegraf", has: []string{"fields", "name", "tags", "timestamp"}, inner: []string{"fields/value", "fields/message"}},
	{name: "filebeat", has: []string{"json"}, inner: []string{"json"}},
}

// gelfFields stands for the members of a GELF message whose names begin with "_".
const gelfFields = "_*"

// loose wrappers are tried on what no format knows, after those, by these names of members.
var loose = []string{
	"records", "Records", "value", "findings", "Findings", "_source", "source", "hits", "result", "results", "data", "detail",
	"alerts", "alert", "detections", "detection", "events", "event", "items", "incidents", "threats", "resources", "object",
	"properties", "message", "Message", "_raw", "raw", "raw_data", "event.original", "original", "payload", "body", "log", "msg", "content", "doc",
	"Body", "Data", "Records", "messages", "Sns", "kinesis", "backlog", "context", "full_message",
}

// contents are the values at each of a wrapper's ways that lead to any.
func (u *unwrapper) contents(n int32, w *wrapper) [][]int32 {
	var out [][]int32
	for _, way := range w.inner {
		if way == gelfFields {
			if fields := u.gelf(n); fields != 0 {
				out = append(out, []int32{fields})
			}
			continue
		}
		if found := u.follow(n, way, nil); len(found) > 0 {
			out = append(out, u.values(found))
		}
	}
	return out
}

// follow collects the values at a way of members through arrays.
func (u *unwrapper) follow(n int32, way string, found []int32) []int32 {
	if u.Nodes[n].Kind == tree.List {
		for c := u.Nodes[n].First; c != 0; c = u.Nodes[c].Next {
			if u.Nodes[c].Kind == tree.Object {
				found = u.follow(c, way, found)
			}
		}
		return found
	}
	name, rest, more := strings.Cut(way, "/")
	if name == tree.AnyName && u.Nodes[n].Kind == tree.Object {
		for c := u.Nodes[n].First; c != 0; c = u.Nodes[c].Next {
			found = u.follow(c, rest, found)
		}
		return found
	}
	c := u.Child(n, name)
	if c == 0 || u.Nodes[c].Kind < tree.Text {
		return found
	}
	if more {
		return u.follow(c, rest, found)
	}
	return append(found, c)
}
