#!/usr/bin/env bash
# A walk through Kinesis with the AWS CLI, as somebody would type it:
#
#	awscli.sh http://127.0.0.1:4567
#
# It ends at the first answer that is not what it should be.
set -euo pipefail

endpoint=$1
export AWS_ACCESS_KEY_ID=${AWS_ACCESS_KEY_ID:-any} AWS_SECRET_ACCESS_KEY=${AWS_SECRET_ACCESS_KEY:-any}
export AWS_DEFAULT_REGION=us-east-1 AWS_EC2_METADATA_DISABLED=true AWS_PAGER='' AWS_MAX_ATTEMPTS=1

# Another aws may come first in PATH: this is Debian's.
kinesis() { /usr/bin/aws --endpoint-url "$endpoint" --output text kinesis "$@"; }

fail() { echo "line ${BASH_LINENO[1]}: $1" >&2; exit 1; }
same() { [ "$1" = "$2" ] || fail "got '$1', want '$2'"; } # got want
refused() { # type command...
	local type=$1 said
	shift
	if said=$(kinesis "$@" 2>&1); then fail "$1 was not refused"; fi
	case $said in *"($type)"*) ;; *) fail "$1: $said, want $type" ;; esac
}

arn=arn:aws:kinesis:us-east-1:000000000000:stream/cli

refused ResourceNotFoundException describe-stream-summary --stream-name cli
kinesis create-stream --stream-name cli --shard-count 2
kinesis wait stream-exists --stream-name cli
refused ResourceInUseException create-stream --stream-name cli --shard-count 2
same "$(kinesis describe-stream-summary --stream-name cli --query 'StreamDescriptionSummary.[StreamARN,StreamStatus,OpenShardCount,RetentionPeriodHours]')" "$arn	ACTIVE	2	24"
same "$(kinesis list-streams --query 'StreamNames')" cli
kinesis describe-limits --query '[ShardLimit,OpenShardCount]' >/dev/null

# Records: base64 as version 2 wants it, and raw.
placed=$(kinesis put-record --stream-name cli --partition-key one --data "$(printf 'first \xff' | base64)" --explicit-hash-key 0 --query '[ShardId,SequenceNumber]')
same "${placed%%	*}" shardId-000000000000
kinesis put-record --stream-arn "$arn" --partition-key one --explicit-hash-key 0 --cli-binary-format raw-in-base64-out --data second >/dev/null
same "$(kinesis put-records --stream-name cli --records Data=dGhpcmQ=,PartitionKey=a,ExplicitHashKey=1 Data=Zm91cnRo,PartitionKey=b,ExplicitHashKey=2 --query FailedRecordCount)" 0
iterator=$(kinesis get-shard-iterator --stream-name cli --shard-id shardId-000000000000 --shard-iterator-type TRIM_HORIZON)
same "$(kinesis get-records --shard-iterator "$iterator" --query 'Records[].Data')" "$(printf 'first \xff' | base64)	c2Vjb25k	dGhpcmQ=	Zm91cnRo"
iterator=$(kinesis get-shard-iterator --stream-name cli --shard-id shardId-000000000000 --shard-iterator-type AT_TIMESTAMP --timestamp 2020-01-01T00:00:00Z)
same "$(kinesis get-records --shard-iterator "$iterator" --query '[length(Records),Records[0].SequenceNumber]')" "4	${placed#*	}"
refused InvalidArgumentException get-records --shard-iterator forged

# Shards.
kinesis split-shard --stream-name cli --shard-to-split shardId-000000000000 --new-starting-hash-key 100
kinesis wait stream-exists --stream-name cli
kinesis merge-shards --stream-name cli --shard-to-merge shardId-000000000002 --adjacent-shard-to-merge shardId-000000000003
kinesis wait stream-exists --stream-name cli
same "$(kinesis list-shards --stream-name cli --query 'Shards[].[ShardId,ParentShardId,AdjacentParentShardId]' | tr '\t\n' ' ;')" \
	"shardId-000000000000 None None;shardId-000000000001 None None;shardId-000000000002 shardId-000000000000 None;shardId-000000000003 shardId-000000000000 None;shardId-000000000004 shardId-000000000002 shardId-000000000003;"
same "$(kinesis list-shards --stream-name cli --shard-filter Type=AT_LATEST --query 'length(Shards)')" 2
same "$(kinesis update-shard-count --stream-name cli --target-shard-count 4 --scaling-type UNIFORM_SCALING --query '[CurrentShardCount,TargetShardCount]')" "2	4"
kinesis wait stream-exists --stream-name cli
same "$(kinesis describe-stream --stream-name cli --query 'length(StreamDescription.Shards)')" 9
refused ResourceNotFoundException split-shard --stream-name cli --shard-to-split shardId-000000000099 --new-starting-hash-key 100
# At its end a shard has children and no next iterator.
same "$(kinesis get-records --shard-iterator "$(kinesis get-shard-iterator --stream-name cli --shard-id 0 --shard-iterator-type LATEST)" \
	--query '[NextShardIterator,length(ChildShards)]')" "None	2"

# Consumers.
consumer=$(kinesis register-stream-consumer --stream-arn "$arn" --consumer-name c --query Consumer.ConsumerARN)
refused ResourceInUseException delete-stream --stream-name cli
same "$(kinesis describe-stream-consumer --consumer-arn "$consumer" --query ConsumerDescription.ConsumerName)" c
same "$(kinesis list-stream-consumers --stream-arn "$arn" --query 'Consumers[].ConsumerARN')" "$consumer"
kinesis deregister-stream-consumer --consumer-arn "$consumer"

# Settings.
kinesis add-tags-to-stream --stream-name cli --tags team=one,cost=42
kinesis remove-tags-from-stream --stream-name cli --tag-keys cost
same "$(kinesis list-tags-for-stream --stream-name cli --query 'Tags[].[Key,Value]')" "team	one"
kinesis increase-stream-retention-period --stream-name cli --retention-period-hours 48
kinesis decrease-stream-retention-period --stream-name cli --retention-period-hours 36
same "$(kinesis enable-enhanced-monitoring --stream-name cli --shard-level-metrics IncomingBytes OutgoingBytes --query 'length(DesiredShardLevelMetrics)')" 2
same "$(kinesis disable-enhanced-monitoring --stream-name cli --shard-level-metrics OutgoingBytes --query DesiredShardLevelMetrics)" IncomingBytes
kinesis start-stream-encryption --stream-name cli --encryption-type KMS --key-id alias/aws/kinesis
kinesis wait stream-exists --stream-name cli
same "$(kinesis describe-stream-summary --stream-name cli --query 'StreamDescriptionSummary.[RetentionPeriodHours,EncryptionType,KeyId]')" "36	KMS	alias/aws/kinesis"
kinesis stop-stream-encryption --stream-name cli --encryption-type KMS --key-id alias/aws/kinesis
kinesis update-stream-mode --stream-arn "$arn" --stream-mode-details StreamMode=ON_DEMAND

kinesis delete-stream --stream-name cli --enforce-consumer-deletion
kinesis wait stream-not-exists --stream-name cli
