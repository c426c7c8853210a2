from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from typing import ClassVar as _ClassVar, Mapping as _Mapping, Optional as _Optional, Union as _Union

CONSUMER_STATUS_ACTIVE: ConsumerStatus
CONSUMER_STATUS_CREATING: ConsumerStatus
CONSUMER_STATUS_DELETING: ConsumerStatus
CONSUMER_STATUS_UNSPECIFIED: ConsumerStatus
DESCRIPTOR: _descriptor.FileDescriptor

class Consumer(_message.Message):
    __slots__ = ["arn", "create_time", "name", "status", "stream"]
    ARN_FIELD_NUMBER: _ClassVar[int]
    CREATE_TIME_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    STREAM_FIELD_NUMBER: _ClassVar[int]
    arn: str
    create_time: _timestamp_pb2.Timestamp
    name: str
    status: ConsumerStatus
    stream: str
    def __init__(self, name: _Optional[str] = ..., arn: _Optional[str] = ..., status: _Optional[_Union[ConsumerStatus, str]] = ..., create_time: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ..., stream: _Optional[str] = ...) -> None: ...

class ConsumerStatus(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = []
