package hivetest

import (
	"strings"
	"sync"
)

var allRoutes = sync.OnceValue(func() router {
	return newRouter(
		systemRoutes, userRoutes, adminRoutes(), miscRoutes, linkRoutes,
		caseRoutes, childRoutes, observableRoutes, procedureRoutes, attachmentRoutes, alertRoutes, logRoutes, timelineRoutes,
	)
})

func (h *Hive) routes() router { return allRoutes() }

// queryFlag reads a boolean of the query string, in any case: Python sends "True".
func (c *call) queryFlag(name string) bool {
	return strings.EqualFold(c.r.URL.Query().Get(name), "true")
}
