package hivetest

import "sync"

var allRoutes = sync.OnceValue(func() router {
	return newRouter(caseRoutes, childRoutes, observableRoutes, procedureRoutes, attachmentRoutes, systemRoutes)
})

func (h *Hive) routes() router { return allRoutes() }
