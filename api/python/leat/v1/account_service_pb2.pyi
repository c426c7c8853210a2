from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from typing import ClassVar as _ClassVar, Mapping as _Mapping, Optional as _Optional, Union as _Union

COMMITMENT_STATUS_DISABLED: CommitmentStatus
COMMITMENT_STATUS_ENABLED: CommitmentStatus
COMMITMENT_STATUS_ENABLED_UNTIL_EARLIEST_ALLOWED_END: CommitmentStatus
COMMITMENT_STATUS_UNSPECIFIED: CommitmentStatus
DESCRIPTOR: _descriptor.FileDescriptor

class AccountLimits(_message.Message):
    __slots__ = ["on_demand_stream_count", "on_demand_stream_limit", "open_shard_count", "shard_limit"]
    ON_DEMAND_STREAM_COUNT_FIELD_NUMBER: _ClassVar[int]
    ON_DEMAND_STREAM_LIMIT_FIELD_NUMBER: _ClassVar[int]
    OPEN_SHARD_COUNT_FIELD_NUMBER: _ClassVar[int]
    SHARD_LIMIT_FIELD_NUMBER: _ClassVar[int]
    on_demand_stream_count: int
    on_demand_stream_limit: int
    open_shard_count: int
    shard_limit: int
    def __init__(self, open_shard_count: _Optional[int] = ..., shard_limit: _Optional[int] = ..., on_demand_stream_count: _Optional[int] = ..., on_demand_stream_limit: _Optional[int] = ...) -> None: ...

class AccountSettings(_message.Message):
    __slots__ = ["commitment_earliest_end_time", "commitment_end_time", "commitment_start_time", "minimum_throughput_commitment"]
    COMMITMENT_EARLIEST_END_TIME_FIELD_NUMBER: _ClassVar[int]
    COMMITMENT_END_TIME_FIELD_NUMBER: _ClassVar[int]
    COMMITMENT_START_TIME_FIELD_NUMBER: _ClassVar[int]
    MINIMUM_THROUGHPUT_COMMITMENT_FIELD_NUMBER: _ClassVar[int]
    commitment_earliest_end_time: _timestamp_pb2.Timestamp
    commitment_end_time: _timestamp_pb2.Timestamp
    commitment_start_time: _timestamp_pb2.Timestamp
    minimum_throughput_commitment: CommitmentStatus
    def __init__(self, minimum_throughput_commitment: _Optional[_Union[CommitmentStatus, str]] = ..., commitment_start_time: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ..., commitment_earliest_end_time: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ..., commitment_end_time: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class GetAccountLimitsRequest(_message.Message):
    __slots__ = []
    def __init__(self) -> None: ...

class GetAccountLimitsResponse(_message.Message):
    __slots__ = ["limits"]
    LIMITS_FIELD_NUMBER: _ClassVar[int]
    limits: AccountLimits
    def __init__(self, limits: _Optional[_Union[AccountLimits, _Mapping]] = ...) -> None: ...

class GetAccountSettingsRequest(_message.Message):
    __slots__ = []
    def __init__(self) -> None: ...

class GetAccountSettingsResponse(_message.Message):
    __slots__ = ["settings"]
    SETTINGS_FIELD_NUMBER: _ClassVar[int]
    settings: AccountSettings
    def __init__(self, settings: _Optional[_Union[AccountSettings, _Mapping]] = ...) -> None: ...

class UpdateAccountSettingsRequest(_message.Message):
    __slots__ = ["minimum_throughput_commitment"]
    MINIMUM_THROUGHPUT_COMMITMENT_FIELD_NUMBER: _ClassVar[int]
    minimum_throughput_commitment: CommitmentStatus
    def __init__(self, minimum_throughput_commitment: _Optional[_Union[CommitmentStatus, str]] = ...) -> None: ...

class UpdateAccountSettingsResponse(_message.Message):
    __slots__ = ["settings"]
    SETTINGS_FIELD_NUMBER: _ClassVar[int]
    settings: AccountSettings
    def __init__(self, settings: _Optional[_Union[AccountSettings, _Mapping]] = ...) -> None: ...

class CommitmentStatus(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = []
