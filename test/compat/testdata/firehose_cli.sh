#!/usr/bin/env bash
# A walk through Firehose with the AWS CLI, as somebody would type it:
#
#	firehose_cli.sh http://127.0.0.1:4567 bucket
#
# It ends at the first answer that is not what it should be.
set -euo pipefail

endpoint=$1 bucket=$2
export AWS_DEFAULT_REGION=us-east-1 AWS_EC2_METADATA_DISABLED=true AWS_PAGER='' AWS_MAX_ATTEMPTS=1

# Another aws may come first in PATH: this is Debian's.
firehose() { /usr/bin/aws --endpoint-url "$endpoint" --output text firehose "$@"; }
same() { [ "$1" = "$2" ] || { echo "line ${BASH_LINENO[0]}: got '$1', want '$2'" >&2; exit 1; }; }

destination="RoleARN=arn:aws:iam::000000000000:role/r,BucketARN=arn:aws:s3:::$bucket,Prefix=cli/,BufferingHints={SizeInMBs=1,IntervalInSeconds=60}"
destination+=',ProcessingConfiguration={Enabled=true,Processors=[{Type=AppendDelimiterToRecord,Parameters=[{ParameterName=Delimiter,ParameterValue=\\n}]}]}'
firehose create-delivery-stream --delivery-stream-name cli --extended-s3-destination-configuration "$destination" >/dev/null
same "$(firehose describe-delivery-stream --delivery-stream-name cli --query DeliveryStreamDescription.DeliveryStreamStatus)" ACTIVE
firehose put-record --delivery-stream-name cli --cli-binary-format raw-in-base64-out --record Data=one >/dev/null
same "$(firehose put-record-batch --delivery-stream-name cli --cli-binary-format raw-in-base64-out --records Data=two Data=three --query FailedPutCount)" 0
firehose tag-delivery-stream --delivery-stream-name cli --tags Key=b,Value=2
same "$(firehose list-tags-for-delivery-stream --delivery-stream-name cli --query 'Tags[].Key')" b
firehose update-destination --delivery-stream-name cli --current-delivery-stream-version-id 1 --destination-id destinationId-000000000001 \
	--extended-s3-destination-update 'BufferingHints={SizeInMBs=2,IntervalInSeconds=60}'
same "$(firehose describe-delivery-stream --delivery-stream-name cli --query DeliveryStreamDescription.VersionId)" 2
if firehose describe-delivery-stream --delivery-stream-name none 2>/dev/null; then exit 1; fi
