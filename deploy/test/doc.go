// Package deploytest proves what operators install: the Helm chart, its alert rules and its
// dashboard; and the workflows that make it.
//
// Promise: the chart is linted and rendered by Helm itself with every value set of chart/ci; each
// object is read strictly, Kubernetes' and the Prometheus Operator's by their Go types, KEDA's and
// nack's by their own schemas where those lie next to the repository; the configuration inside is
// read by the worker; rules and queries are parsed by Prometheus. Workflows are checked by
// actionlint, and call nothing that the repository has not.
//
// Limits: it is a module of its own, so that none of this becomes a dependency of the worker, and
// nothing is installed anywhere. "make chart" runs it.
package deploytest
