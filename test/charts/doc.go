// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

// Package charts renders deploy/helm/leat and decodes what comes out strictly into Kubernetes' own types. It is a module of
// its own, so that those stay out of Leat's. `make deploy-check` runs it.
//
// It renders as Helm does with the functions that the chart uses, and is not Helm: `helm lint` and `helm template` say more.
package charts
