from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from typing import ClassVar as _ClassVar, Iterable as _Iterable, Mapping as _Mapping, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor
SHARD_METRIC_INCOMING_BYTES: ShardMetric
SHARD_METRIC_INCOMING_RECORDS: ShardMetric
SHARD_METRIC_ITERATOR_AGE_MILLISECONDS: ShardMetric
SHARD_METRIC_OUTGOING_BYTES: ShardMetric
SHARD_METRIC_OUTGOING_RECORDS: ShardMetric
SHARD_METRIC_READ_PROVISIONED_THROUGHPUT_EXCEEDED: ShardMetric
SHARD_METRIC_UNSPECIFIED: ShardMetric
SHARD_METRIC_WRITE_PROVISIONED_THROUGHPUT_EXCEEDED: ShardMetric
STREAM_MODE_ON_DEMAND: StreamMode
STREAM_MODE_PROVISIONED: StreamMode
STREAM_MODE_UNSPECIFIED: StreamMode
STREAM_STATUS_ACTIVE: StreamStatus
STREAM_STATUS_CREATING: StreamStatus
STREAM_STATUS_DELETING: StreamStatus
STREAM_STATUS_UNSPECIFIED: StreamStatus
STREAM_STATUS_UPDATING: StreamStatus

class Stream(_message.Message):
    __slots__ = ["account", "arn", "create_time", "encryption_key", "id", "max_record_bytes", "mode", "monitoring", "name", "open_shard_count", "retention_hours", "status", "target_shard_count", "warm_throughput_mibps"]
    ACCOUNT_FIELD_NUMBER: _ClassVar[int]
    ARN_FIELD_NUMBER: _ClassVar[int]
    CREATE_TIME_FIELD_NUMBER: _ClassVar[int]
    ENCRYPTION_KEY_FIELD_NUMBER: _ClassVar[int]
    ID_FIELD_NUMBER: _ClassVar[int]
    MAX_RECORD_BYTES_FIELD_NUMBER: _ClassVar[int]
    MODE_FIELD_NUMBER: _ClassVar[int]
    MONITORING_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    OPEN_SHARD_COUNT_FIELD_NUMBER: _ClassVar[int]
    RETENTION_HOURS_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    TARGET_SHARD_COUNT_FIELD_NUMBER: _ClassVar[int]
    WARM_THROUGHPUT_MIBPS_FIELD_NUMBER: _ClassVar[int]
    account: str
    arn: str
    create_time: _timestamp_pb2.Timestamp
    encryption_key: str
    id: str
    max_record_bytes: int
    mode: StreamMode
    monitoring: _containers.RepeatedScalarFieldContainer[ShardMetric]
    name: str
    open_shard_count: int
    retention_hours: int
    status: StreamStatus
    target_shard_count: int
    warm_throughput_mibps: int
    def __init__(self, name: _Optional[str] = ..., arn: _Optional[str] = ..., id: _Optional[str] = ..., account: _Optional[str] = ..., mode: _Optional[_Union[StreamMode, str]] = ..., status: _Optional[_Union[StreamStatus, str]] = ..., open_shard_count: _Optional[int] = ..., target_shard_count: _Optional[int] = ..., retention_hours: _Optional[int] = ..., max_record_bytes: _Optional[int] = ..., create_time: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ..., encryption_key: _Optional[str] = ..., monitoring: _Optional[_Iterable[_Union[ShardMetric, str]]] = ..., warm_throughput_mibps: _Optional[int] = ...) -> None: ...

class ShardMetric(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = []

class StreamMode(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = []

class StreamStatus(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = []
