#!/usr/bin/python3
"""A walk through Kinesis with boto3: python3 boto3_walk.py http://127.0.0.1:4567

It ends at the first answer that is not what it should be.
"""

import datetime
import os
import sys
import time

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError, WaiterError

ARN = "arn:aws:kinesis:us-east-1:000000000000:stream/boto"
FIRST = "shardId-000000000000"
PATIENCE = 60  # seconds

kinesis = boto3.client(
    "kinesis",
    endpoint_url=sys.argv[1],
    region_name="us-east-1",
    aws_access_key_id=os.environ.get("AWS_ACCESS_KEY_ID", "any"),
    aws_secret_access_key=os.environ.get("AWS_SECRET_ACCESS_KEY", "any"),
    config=Config(retries={"total_max_attempts": 1}),
)


def same(got, want):
    assert got == want, f"got {got!r}, want {want!r}"


def refused(error, call, **arguments):
    """Expects an exception of the client's own type."""
    try:
        call(**arguments)
    except getattr(kinesis.exceptions, error) as e:
        return e.response["Error"]["Message"]
    raise AssertionError(f"{call.__name__} was not refused")


def active(**stream):
    """Waits with boto3's waiter, which would ask every 10 seconds."""
    kinesis.get_waiter("stream_exists").wait(WaiterConfig={"Delay": 0.05, "MaxAttempts": 1000}, **stream)


def until(what, ask):
    deadline = time.monotonic() + PATIENCE
    while not ask():
        assert time.monotonic() < deadline, f"not in {PATIENCE} s: {what}"
        time.sleep(0.02)


def streams():
    refused("ResourceNotFoundException", kinesis.describe_stream, StreamName="boto")
    kinesis.create_stream(StreamName="boto", ShardCount=2, StreamModeDetails={"StreamMode": "PROVISIONED"})
    active(StreamName="boto")
    message = refused("ResourceInUseException", kinesis.create_stream, StreamName="boto", ShardCount=2)
    assert "boto" in message, message
    summary = kinesis.describe_stream_summary(StreamName="boto")["StreamDescriptionSummary"]
    same((summary["StreamARN"], summary["OpenShardCount"], summary["StreamModeDetails"]), (ARN, 2, {"StreamMode": "PROVISIONED"}))
    age = datetime.datetime.now(datetime.timezone.utc) - summary["StreamCreationTimestamp"]
    assert age < datetime.timedelta(hours=1), age
    names = [n for page in kinesis.get_paginator("list_streams").paginate(PaginationConfig={"PageSize": 1}) for n in page["StreamNames"]]
    same(names, ["boto"])
    pages = kinesis.get_paginator("describe_stream").paginate(StreamName="boto", PaginationConfig={"PageSize": 1})
    same([s["ShardId"] for page in pages for s in page["StreamDescription"]["Shards"]], [FIRST, "shardId-000000000001"])
    limits = kinesis.describe_limits()
    assert limits["OpenShardCount"] >= 2 and limits["ShardLimit"] >= limits["OpenShardCount"], limits


def records():
    data = bytes(range(256))
    put = kinesis.put_record(StreamName="boto", Data=data, PartitionKey="ключ", ExplicitHashKey="0")
    same(put["ShardId"], FIRST)
    batch = kinesis.put_records(
        StreamName="boto",
        Records=[{"Data": f"record {i}", "PartitionKey": str(i), "ExplicitHashKey": "0"} for i in range(500)],
    )
    same((batch["FailedRecordCount"], len(batch["Records"])), (0, 500))

    got, iterator = [], kinesis.get_shard_iterator(StreamName="boto", ShardId=FIRST, ShardIteratorType="TRIM_HORIZON")["ShardIterator"]
    while len(got) < 501:
        page = kinesis.get_records(ShardIterator=iterator, Limit=200)
        assert page["Records"], "an empty page before the end"
        got += page["Records"]
        iterator = page["NextShardIterator"]
        assert "ChildShards" not in page or page["ChildShards"] == [], page
    same((got[0]["Data"], got[0]["PartitionKey"], got[0]["SequenceNumber"]), (data, "ключ", put["SequenceNumber"]))
    same([r["Data"] for r in got[1:]], [f"record {i}".encode() for i in range(500)])
    same([r["SequenceNumber"] for r in got[1:]], [r["SequenceNumber"] for r in batch["Records"]])
    same(page["MillisBehindLatest"], 0)

    # This boto3 sends whole seconds.
    when = got[250]["ApproximateArrivalTimestamp"].replace(microsecond=0)
    iterator = kinesis.get_shard_iterator(StreamName="boto", ShardId=FIRST, ShardIteratorType="AT_TIMESTAMP", Timestamp=when)["ShardIterator"]
    first = kinesis.get_records(ShardIterator=iterator, Limit=1)["Records"][0]
    assert first["ApproximateArrivalTimestamp"] >= when, (first["ApproximateArrivalTimestamp"], when)

    refused("InvalidArgumentException", kinesis.get_records, ShardIterator="forged")
    try:
        kinesis.put_record(StreamName="boto", Data=b"", PartitionKey="x" * 257)
        raise AssertionError("a key of 257 characters was taken")
    except ClientError as e:
        same((e.response["Error"]["Code"], e.response["ResponseMetadata"]["HTTPStatusCode"]), ("ValidationException", 400))


def shards():
    kinesis.split_shard(StreamName="boto", ShardToSplit=FIRST, NewStartingHashKey="1000")
    active(StreamName="boto")
    kinesis.merge_shards(StreamName="boto", ShardToMerge="shardId-000000000003", AdjacentShardToMerge="shardId-000000000001")
    active(StreamName="boto")
    # By hand: boto3's paginator sends StreamName with NextToken, which AWS refuses too.
    found, page = {}, kinesis.list_shards(StreamName="boto", MaxResults=2)
    while True:
        found.update({s["ShardId"][-1]: s for s in page["Shards"]})
        if "NextToken" not in page:
            break
        page = kinesis.list_shards(NextToken=page["NextToken"], MaxResults=2)
    same(sorted(found), list("01234"))
    same((found["4"]["ParentShardId"][-1], found["4"]["AdjacentParentShardId"][-1]), ("3", "1"))
    scaled = kinesis.update_shard_count(StreamName="boto", TargetShardCount=3, ScalingType="UNIFORM_SCALING")
    same((scaled["CurrentShardCount"], scaled["TargetShardCount"]), (2, 3))
    active(StreamName="boto")
    same(len(kinesis.list_shards(StreamName="boto", ShardFilter={"Type": "AT_LATEST"})["Shards"]), 3)


def consumers():
    arn = kinesis.register_stream_consumer(StreamARN=ARN, ConsumerName="c")["Consumer"]["ConsumerARN"]
    describe = lambda: kinesis.describe_stream_consumer(ConsumerARN=arn)["ConsumerDescription"]
    until("an active consumer", lambda: describe()["ConsumerStatus"] == "ACTIVE")
    listed = kinesis.get_paginator("list_stream_consumers").paginate(StreamARN=ARN)
    same([c["ConsumerARN"] for page in listed for c in page["Consumers"]], [arn])

    # The first shard was split: its 501 records, its children, and the end.
    events = kinesis.subscribe_to_shard(ConsumerARN=arn, ShardId=FIRST, StartingPosition={"Type": "TRIM_HORIZON"})["EventStream"]
    got = []
    for event in events:
        event = event["SubscribeToShardEvent"]
        got += event["Records"]
        assert ("ContinuationSequenceNumber" in event) != bool(event.get("ChildShards")), event
        if event.get("ChildShards"):
            same([c["ParentShards"] for c in event["ChildShards"]], [[FIRST], [FIRST]])
            break
    same((len(got), got[-1]["Data"]), (501, b"record 499"))
    events.close()

    # An open shard pushes what comes.
    tip = kinesis.list_shards(StreamName="boto", ShardFilter={"Type": "AT_LATEST"})["Shards"][0]
    events = kinesis.subscribe_to_shard(ConsumerARN=arn, ShardId=tip["ShardId"], StartingPosition={"Type": "LATEST"})["EventStream"]
    kinesis.put_record(StreamName="boto", Data=b"pushed", PartitionKey="k", ExplicitHashKey=tip["HashKeyRange"]["StartingHashKey"])
    for event in events:
        if event["SubscribeToShardEvent"]["Records"]:
            same([r["Data"] for r in event["SubscribeToShardEvent"]["Records"]], [b"pushed"])
            break
    events.close()

    kinesis.deregister_stream_consumer(ConsumerARN=arn)

    def gone():
        try:
            describe()
        except kinesis.exceptions.ResourceNotFoundException:
            return True

    until("no consumer", gone)


def settings():
    kinesis.add_tags_to_stream(StreamName="boto", Tags={"a": "1", "b": "2"})
    kinesis.remove_tags_from_stream(StreamName="boto", TagKeys=["a"])
    same(kinesis.list_tags_for_stream(StreamName="boto")["Tags"], [{"Key": "b", "Value": "2"}])
    kinesis.increase_stream_retention_period(StreamName="boto", RetentionPeriodHours=24)
    kinesis.increase_stream_retention_period(StreamName="boto", RetentionPeriodHours=48)
    kinesis.decrease_stream_retention_period(StreamName="boto", RetentionPeriodHours=24)
    refused("InvalidArgumentException", kinesis.decrease_stream_retention_period, StreamName="boto", RetentionPeriodHours=23)
    same(kinesis.enable_enhanced_monitoring(StreamName="boto", ShardLevelMetrics=["IncomingBytes"])["DesiredShardLevelMetrics"], ["IncomingBytes"])
    same(kinesis.disable_enhanced_monitoring(StreamName="boto", ShardLevelMetrics=["ALL"])["DesiredShardLevelMetrics"], [])
    active(StreamName="boto")
    kinesis.start_stream_encryption(StreamName="boto", EncryptionType="KMS", KeyId="alias/aws/kinesis")
    active(StreamName="boto")
    kinesis.stop_stream_encryption(StreamName="boto", EncryptionType="KMS", KeyId="alias/aws/kinesis")
    active(StreamName="boto")
    kinesis.update_stream_mode(StreamARN=ARN, StreamModeDetails={"StreamMode": "ON_DEMAND"})
    active(StreamName="boto")


def end():
    kinesis.delete_stream(StreamName="boto")
    kinesis.get_waiter("stream_not_exists").wait(StreamName="boto", WaiterConfig={"Delay": 0.05, "MaxAttempts": 1000})
    try:
        kinesis.get_waiter("stream_exists").wait(StreamName="boto", WaiterConfig={"Delay": 0.05, "MaxAttempts": 2})
        raise AssertionError("the deleted stream exists")
    except WaiterError as e:
        assert "ResourceNotFoundException" in str(e), e


for part in (streams, records, shards, consumers, settings, end):
    began = time.monotonic()
    part()
    print(f"{part.__name__}: {time.monotonic() - began:.1f} s")
