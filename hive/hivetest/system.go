package hivetest

import (
	"net/http"
	"time"
)

var systemRoutes = []route{
	{method: "POST", template: "/api/v1/query", form: jsonBody, reads: true, run: runQuery},
	{method: "GET", template: "/api/status", open: true, run: oldStatus},
	{method: "GET", template: "/api/v1/status", open: true, run: status},
	{method: "GET", template: "/api/v1/status/public", open: true, run: publicStatus},
	{method: "GET", template: "/api/v1/user/current", run: currentUser},
	{method: "GET", template: "/api/v1/license/current", run: license},
}

func status(c *call) (reply, error) {
	lease := c.license()
	return reply{status: http.StatusOK, value: map[string]any{
		"version": c.h.options.Version, "gitDescription": c.h.options.Version,
		"connectors": map[string]any{"cortex": map[string]any{"enabled": false, "status": "OK", "servers": []any{}}, "misp": map[string]any{"enabled": false, "status": "OK", "servers": []any{}}},
		"config": map[string]any{
			"capabilities": []string{"authByKey", "changePassword", "setPassword"}, "ssoAutoLogin": false,
			"pollingDuration": 1000, "protectDownloadsWith": DefaultZipPassword, "authType": []string{"local", "key"},
		},
		"license": map[string]any{
			"id": lease["id"], "customer": lease["customer"], "instance": "simulator", "plan": lease["plan"], "kind": lease["kind"],
			"validFrom": lease["validFrom"], "expiresAt": lease["expiresAt"], "capabilities": []string{}, "isValid": true,
			"quotas": map[string]any{},
		},
		"features": []string{}, "schemaStatus": []any{},
	}}, nil
}

// oldStatus is the status at its old address, where clients look whether the server is ready.
func oldStatus(c *call) (reply, error) {
	return reply{status: http.StatusOK, value: map[string]any{
		"version":  c.h.options.Version,
		"versions": map[string]string{"TheHive": c.h.options.Version, "Scalligraph": c.h.options.Version},
	}}, nil
}

func publicStatus(c *call) (reply, error) {
	return reply{status: http.StatusOK, value: map[string]any{
		"sso": false, "ssoProviders": []any{}, "version": c.h.options.Version,
	}}, nil
}

func currentUser(c *call) (reply, error) { return show1(http.StatusOK, c.user.doc), nil }

// license answers the fallback that a server without a licence has; it must not be over, or the official client's
// suite replaces the server.
func license(c *call) (reply, error) {
	return reply{status: http.StatusOK, value: map[string]any{"notFound": true, "fallback": c.license()}}, nil
}

func (c *call) license() map[string]any {
	year := int64(365 * 24 * time.Hour / time.Millisecond)
	now := c.h.now()
	return map[string]any{
		"_id": "~32", "_type": "License", "_createdBy": systemUser, "_createdAt": now, "id": "fallback",
		"customer": "simulator", "plan": "Community", "kind": "Fallback", "validFrom": now - year, "expiresAt": now + year,
		"current": true, "capabilities": []string{}, "quotas": map[string]int{},
	}
}
