// Copyright The Leat Authors
// SPDX-License-Identifier: Apache-2.0

package cloudwatch

import (
	"fmt"
	"slices"
	"time"

	"github.com/leatstream/leat/server/awswire"
	"github.com/leatstream/leat/server/datapoints"
)

// metric names a metric, in requests and answers.
type metric struct {
	Namespace  string
	MetricName string
	Dimensions list[dimension]
}

type dimension struct {
	Name  string
	Value string
}

// Bounds of the API model.
const (
	maxDimensions = 30
	maxName       = 255
)

// check looks at what names a metric; in says where it stands in the request.
func (m *metric) check(in string) error {
	switch {
	case m.Namespace == "":
		return missing(in + "Namespace")
	case m.MetricName == "":
		return missing(in + "MetricName")
	case len(m.Namespace) > maxName, len(m.MetricName) > maxName:
		return refuse("%sNamespace and MetricName have at most %d characters", in, maxName)
	case len(m.Dimensions) > maxDimensions:
		return refuse("%sDimensions has %d elements: %d at most", in, len(m.Dimensions), maxDimensions)
	}
	return nil
}

// byName are dimensions as the broker wants them.
func byName(all []dimension, in string) (map[string]string, error) {
	out := make(map[string]string, len(all))
	for _, d := range all {
		if d.Name == "" {
			return nil, missing(in + "Dimensions.Name")
		}
		if _, twice := out[d.Name]; twice {
			return nil, refuse("%sDimensions has %.80q twice", in, d.Name)
		}
		out[d.Name] = d.Value
	}
	return out, nil
}

// statistics are those that are kept, with what they are of a period.
var statistics = map[string]func(datapoints.Stat) float64{
	"SampleCount": func(s datapoints.Stat) float64 { return s.Count },
	"Average":     datapoints.Stat.Mean,
	"Sum":         func(s datapoints.Stat) float64 { return s.Sum },
	"Minimum":     func(s datapoints.Stat) float64 { return s.Min },
	"Maximum":     func(s datapoints.Stat) float64 { return s.Max },
}

func statisticOf(name, member string) (func(datapoints.Stat) float64, error) {
	f, ok := statistics[name]
	if !ok {
		return nil, refuse("%s: %.80q is not a statistic that this server keeps: give SampleCount, Average, Sum, Minimum or Maximum", member, name)
	}
	return f, nil
}

// units are those of the API model: to ask for one that a metric does not have finds nothing.
var units = []string{"Seconds", "Microseconds", "Milliseconds", "Bytes", "Kilobytes", "Megabytes", "Gigabytes", "Terabytes", "Bits", "Kilobits", "Megabits",
	"Gigabits", "Terabits", "Percent", "Count", "Bytes/Second", "Kilobytes/Second", "Megabytes/Second", "Gigabytes/Second", "Terabytes/Second", "Bits/Second",
	"Kilobits/Second", "Megabits/Second", "Gigabits/Second", "Terabits/Second", "Count/Second", "None"}

func checkUnit(unit string) error {
	if unit != "" && !slices.Contains(units, unit) {
		return refuse("Unit: %.80q is not a unit", unit)
	}
	return nil
}

// between checks the times of a request.
func between(start, end *moment) error {
	switch {
	case start == nil:
		return missing("StartTime")
	case end == nil:
		return missing("EndTime")
	case !start.Before(end.Time):
		return refuse("The parameter StartTime must be less than the parameter EndTime.")
	}
	return nil
}

// period is a Period of a request, in seconds.
func period(seconds *int32, name string) (time.Duration, error) {
	switch {
	case seconds == nil:
		return 0, missing(name)
	case *seconds < 60 || *seconds%60 != 0:
		return 0, refuse("%s: %d is not a multiple of 60: datapoints are of minutes", name, *seconds)
	}
	return time.Duration(*seconds) * time.Second, nil
}

// tooMany says that members do not fit together.
func tooMany(format string, args ...any) error {
	return &awswire.Error{Type: typeCombination, Message: fmt.Sprintf(format, args...)}
}
