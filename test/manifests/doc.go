// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

// Package manifests checks files of deploy/ with the libraries of the programs that read them: the Helm chart is linted and
// rendered by Helm and decoded strictly into the types of Kubernetes and of the Prometheus operator; the compose file is loaded by
// compose-go; the Terraform files are parsed and formatted by HCL. It is a module of its own, so that none of these libraries are
// among Leat's. It asks no network, no cluster and no engine.
package manifests
