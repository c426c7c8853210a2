// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package cloudwatch

import (
	"strings"
	"testing"
)

// Names without bounds would take memory by the square of their length.
func TestFormsAreBounded(t *testing.T) {
	for name, refused := range map[string]bool{
		"MetricDataQueries.member.1.MetricStat.Metric.Dimensions.member.1.Name": false,
		strings.Repeat("a.", 100_000) + "a":                                     true,
		strings.Repeat("a.", 40) + "a":                                          true,
		strings.Repeat("a", 300):                                                true,
	} {
		_, err := parseForm(name + "=x")
		if (err != nil) != refused {
			t.Errorf("%.40s…: %v", name, err)
		}
		if err != nil && len(err.Error()) > 500 {
			t.Errorf("the refusal has %d bytes", len(err.Error()))
		}
	}
}
