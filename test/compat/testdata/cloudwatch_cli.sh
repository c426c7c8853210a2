#!/bin/bash
# The AWS CLI on the metrics of a stream, as a user types it. TestCloudWatch has written to the stream "watched".
set -euo pipefail
aws() { /usr/bin/aws --endpoint-url "$endpoint" --region us-east-1 --output json "$@"; }
endpoint=$1
start=$(date -u -d '10 minutes ago' +%Y-%m-%dT%H:%M:00Z)
end=$(date -u -d '2 minutes' +%Y-%m-%dT%H:%M:00Z)

sum=$(aws cloudwatch get-metric-statistics --namespace AWS/Kinesis --metric-name IncomingRecords \
	--dimensions Name=StreamName,Value=watched --start-time "$start" --end-time "$end" --period 3600 --statistics Sum Average \
	--query 'Datapoints[].Sum | sum(@)')
[[ ${sum%.*} -ge 3 ]] || { echo "IncomingRecords is $sum"; exit 1; }

aws cloudwatch list-metrics --namespace AWS/Kinesis --dimensions Name=StreamName --query 'Metrics[].MetricName' | grep -q '"GetRecords.Latency"'

values=$(aws cloudwatch get-metric-data --start-time "$start" --end-time "$end" --metric-data-queries \
	'[{"Id":"m1","MetricStat":{"Metric":{"Namespace":"AWS/Kinesis","MetricName":"PutRecords.Bytes","Dimensions":[{"Name":"StreamName","Value":"watched"}]},"Period":60,"Stat":"Maximum"}}]' \
	--query 'MetricDataResults[0].Values | max(@)')
[[ ${values%.*} -eq 15 ]] || { echo "PutRecords.Bytes is $values"; exit 1; }

if text=$(aws cloudwatch describe-alarms 2>&1); then echo "alarms are described: $text"; exit 1; fi
grep -q InvalidAction <<<"$text" || { echo "$text"; exit 1; }
