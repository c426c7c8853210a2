"""boto3 on the metrics of a stream. TestCloudWatch has written to the stream "watched"."""

import datetime
import sys

import boto3
from botocore.exceptions import ClientError

cloudwatch = boto3.client("cloudwatch", endpoint_url=sys.argv[1], region_name="us-east-1")
now = datetime.datetime.now(datetime.timezone.utc)
start, end = now - datetime.timedelta(minutes=10), now + datetime.timedelta(minutes=2)


def query(name, metric, stream, stat="Sum"):
    dimensions = [{"Name": "StreamName", "Value": stream}]
    return {
        "Id": name,
        "MetricStat": {
            "Metric": {"Namespace": "AWS/Kinesis", "MetricName": metric, "Dimensions": dimensions},
            "Period": 60,
            "Stat": stat,
        },
    }


queries = [query("records", "IncomingRecords", "watched"), query("other", "IncomingRecords", "another")]
pages = cloudwatch.get_paginator("get_metric_data").paginate(MetricDataQueries=queries, StartTime=start, EndTime=end)
found = {r["Id"]: r for page in pages for r in page["MetricDataResults"]}
assert sum(found["records"]["Values"]) >= 3, found
assert found["other"]["Values"] == [] and found["other"]["StatusCode"] == "Complete", found
assert all(t.second == 0 for t in found["records"]["Timestamps"]), found

metrics = [m for page in cloudwatch.get_paginator("list_metrics").paginate(Namespace="AWS/Kinesis") for m in page["Metrics"]]
assert {"Name": "StreamName", "Value": "watched"} in metrics[0]["Dimensions"], metrics

answer = cloudwatch.get_metric_statistics(
    Namespace="AWS/Kinesis", MetricName="GetRecords.Success", Dimensions=[{"Name": "StreamName", "Value": "watched"}],
    StartTime=start, EndTime=end, Period=60, Statistics=["SampleCount", "Minimum"],
)
assert answer["Label"] == "GetRecords.Success" and answer["Datapoints"][0]["Unit"] == "Count", answer

try:
    cloudwatch.get_metric_data(MetricDataQueries=[query("a", "IncomingBytes", "watched", "p99")], StartTime=start, EndTime=end)
    raise AssertionError("a percentile is answered")
except ClientError as err:
    assert err.response["Error"]["Code"] == "InvalidParameterValue" and "p99" in err.response["Error"]["Message"], err
print("boto3", boto3.__version__)
