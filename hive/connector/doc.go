// Package connector speaks to what a TheHive 5 is connected with: Cortex, whose analyzers look at
// observables and whose responders act, and MISP servers.
//
// # Promise
//
// Every call is one of [hive.Client.Exchange], with its limits and its one type of errors. A TheHive
// without a connector answers empty lists, and refuses what names a server that it does not have.
//
//	cortex.go  Analyzers, AnalyzersFor, Analyzer, RunAnalyzer, RunAnalyzers, Job, Jobs,
//	           Responders, RunResponder, Actions
//	misp.go    MISPStatus, SyncMISP, ExportToMISP, ImportFromMISP
//
// The paths and fields are those of TheHive's OpenAPI 5.5.13, whose moments are texts here where
// 5.7 has milliseconds: both are read.
package connector
