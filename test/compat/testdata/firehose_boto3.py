#!/usr/bin/python3
"""A walk through Firehose with boto3: python3 firehose_boto3.py http://127.0.0.1:4567 bucket

It ends at the first answer that is not what it should be.
"""

import os
import sys
import time

import boto3
from botocore.config import Config

firehose = boto3.client(
    "firehose",
    endpoint_url=sys.argv[1],
    region_name="us-east-1",
    aws_access_key_id=os.environ["AWS_ACCESS_KEY_ID"],
    aws_secret_access_key=os.environ["AWS_SECRET_ACCESS_KEY"],
    config=Config(retries={"total_max_attempts": 1}),
)


def same(got, want):
    if got != want:
        raise SystemExit(f"got {got!r}, want {want!r}")


name = "boto"
firehose.create_delivery_stream(
    DeliveryStreamName=name,
    ExtendedS3DestinationConfiguration={
        "RoleARN": "arn:aws:iam::000000000000:role/r",
        "BucketARN": "arn:aws:s3:::" + sys.argv[2],
        "Prefix": "boto/",
        "CompressionFormat": "GZIP",
        "BufferingHints": {"SizeInMBs": 1, "IntervalInSeconds": 60},
        "ProcessingConfiguration": {"Enabled": True, "Processors": [{"Type": "AppendDelimiterToRecord", "Parameters": []}]},
    },
)
firehose.put_record(DeliveryStreamName=name, Record={"Data": b"1" * 600_000})
same(firehose.put_record_batch(DeliveryStreamName=name, Records=[{"Data": b"2" * 600_000}])["FailedPutCount"], 0)
told = firehose.describe_delivery_stream(DeliveryStreamName=name)["DeliveryStreamDescription"]
same(told["DeliveryStreamStatus"], "ACTIVE")
same(told["CreateTimestamp"].year > 2000, True)
firehose.update_destination(
    DeliveryStreamName=name,
    CurrentDeliveryStreamVersionId=told["VersionId"],
    DestinationId=told["Destinations"][0]["DestinationId"],
    ExtendedS3DestinationUpdate={"BufferingHints": {"SizeInMBs": 2, "IntervalInSeconds": 60}},
)
try:
    firehose.update_destination(
        DeliveryStreamName=name,
        CurrentDeliveryStreamVersionId=told["VersionId"],
        DestinationId=told["Destinations"][0]["DestinationId"],
        ExtendedS3DestinationUpdate={"Prefix": "no/"},
    )
    raise SystemExit("an old version was accepted")
except firehose.exceptions.ConcurrentModificationException:
    pass
same(name in firehose.list_delivery_streams()["DeliveryStreamNames"], True)
firehose.start_delivery_stream_encryption(DeliveryStreamName=name)
for attempt in range(200):  # as with AWS, the one must have taken effect before the other is taken
    try:
        firehose.stop_delivery_stream_encryption(DeliveryStreamName=name)
        break
    except firehose.exceptions.ResourceInUseException:
        if attempt == 199:
            raise
        time.sleep(0.05)
firehose.tag_delivery_stream(DeliveryStreamName=name, Tags=[{"Key": "a", "Value": "1"}])
same(firehose.list_tags_for_delivery_stream(DeliveryStreamName=name)["Tags"], [{"Key": "a", "Value": "1"}])
firehose.untag_delivery_stream(DeliveryStreamName=name, TagKeys=["a"])
