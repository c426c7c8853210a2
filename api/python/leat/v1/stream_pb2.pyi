from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from typing import ClassVar as _ClassVar, Mapping as _Mapping, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor
STREAM_MODE_ON_DEMAND: StreamMode
STREAM_MODE_PROVISIONED: StreamMode
STREAM_MODE_UNSPECIFIED: StreamMode
STREAM_STATUS_ACTIVE: StreamStatus
STREAM_STATUS_CREATING: StreamStatus
STREAM_STATUS_DELETING: StreamStatus
STREAM_STATUS_UNSPECIFIED: StreamStatus
STREAM_STATUS_UPDATING: StreamStatus

class Stream(_message.Message):
    __slots__ = ["account", "arn", "create_time", "id", "max_record_bytes", "mode", "name", "open_shard_count", "retention_hours", "status", "target_shard_count"]
    ACCOUNT_FIELD_NUMBER: _ClassVar[int]
    ARN_FIELD_NUMBER: _ClassVar[int]
    CREATE_TIME_FIELD_NUMBER: _ClassVar[int]
    ID_FIELD_NUMBER: _ClassVar[int]
    MAX_RECORD_BYTES_FIELD_NUMBER: _ClassVar[int]
    MODE_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    OPEN_SHARD_COUNT_FIELD_NUMBER: _ClassVar[int]
    RETENTION_HOURS_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    TARGET_SHARD_COUNT_FIELD_NUMBER: _ClassVar[int]
    account: str
    arn: str
    create_time: _timestamp_pb2.Timestamp
    id: str
    max_record_bytes: int
    mode: StreamMode
    name: str
    open_shard_count: int
    retention_hours: int
    status: StreamStatus
    target_shard_count: int
    def __init__(self, name: _Optional[str] = ..., arn: _Optional[str] = ..., id: _Optional[str] = ..., account: _Optional[str] = ..., mode: _Optional[_Union[StreamMode, str]] = ..., status: _Optional[_Union[StreamStatus, str]] = ..., open_shard_count: _Optional[int] = ..., target_shard_count: _Optional[int] = ..., retention_hours: _Optional[int] = ..., max_record_bytes: _Optional[int] = ..., create_time: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class StreamMode(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = []

class StreamStatus(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = []
