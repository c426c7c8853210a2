from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from typing import ClassVar as _ClassVar, Mapping as _Mapping, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor
STARTING_POSITION_TYPE_AFTER_SEQUENCE_NUMBER: StartingPositionType
STARTING_POSITION_TYPE_AT_SEQUENCE_NUMBER: StartingPositionType
STARTING_POSITION_TYPE_AT_TIMESTAMP: StartingPositionType
STARTING_POSITION_TYPE_LATEST: StartingPositionType
STARTING_POSITION_TYPE_TRIM_HORIZON: StartingPositionType
STARTING_POSITION_TYPE_UNSPECIFIED: StartingPositionType

class Record(_message.Message):
    __slots__ = ["approximate_arrival_unix_micros", "data", "partition_key", "sequence_number"]
    APPROXIMATE_ARRIVAL_UNIX_MICROS_FIELD_NUMBER: _ClassVar[int]
    DATA_FIELD_NUMBER: _ClassVar[int]
    PARTITION_KEY_FIELD_NUMBER: _ClassVar[int]
    SEQUENCE_NUMBER_FIELD_NUMBER: _ClassVar[int]
    approximate_arrival_unix_micros: int
    data: bytes
    partition_key: str
    sequence_number: str
    def __init__(self, sequence_number: _Optional[str] = ..., approximate_arrival_unix_micros: _Optional[int] = ..., partition_key: _Optional[str] = ..., data: _Optional[bytes] = ...) -> None: ...

class StartingPosition(_message.Message):
    __slots__ = ["sequence_number", "timestamp", "type"]
    SEQUENCE_NUMBER_FIELD_NUMBER: _ClassVar[int]
    TIMESTAMP_FIELD_NUMBER: _ClassVar[int]
    TYPE_FIELD_NUMBER: _ClassVar[int]
    sequence_number: str
    timestamp: _timestamp_pb2.Timestamp
    type: StartingPositionType
    def __init__(self, type: _Optional[_Union[StartingPositionType, str]] = ..., sequence_number: _Optional[str] = ..., timestamp: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class StartingPositionType(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = []
