from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from typing import ClassVar as _ClassVar, Iterable as _Iterable, Mapping as _Mapping, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor
NODE_STATE_DRAINING: NodeState
NODE_STATE_FENCING: NodeState
NODE_STATE_LIVE: NodeState
NODE_STATE_UNSPECIFIED: NodeState
SERVER_STATE_DRAINING: ServerState
SERVER_STATE_OPENING: ServerState
SERVER_STATE_SERVING: ServerState
SERVER_STATE_UNSPECIFIED: ServerState
SHARD_LIMITS_AWS: ShardLimits
SHARD_LIMITS_OFF: ShardLimits
SHARD_LIMITS_UNSPECIFIED: ShardLimits

class DrainNodeRequest(_message.Message):
    __slots__ = ["node", "undo"]
    NODE_FIELD_NUMBER: _ClassVar[int]
    UNDO_FIELD_NUMBER: _ClassVar[int]
    node: str
    undo: bool
    def __init__(self, node: _Optional[str] = ..., undo: bool = ...) -> None: ...

class DrainNodeResponse(_message.Message):
    __slots__ = ["shard_count"]
    SHARD_COUNT_FIELD_NUMBER: _ClassVar[int]
    shard_count: int
    def __init__(self, shard_count: _Optional[int] = ...) -> None: ...

class GetServerInfoRequest(_message.Message):
    __slots__ = []
    def __init__(self) -> None: ...

class GetServerInfoResponse(_message.Message):
    __slots__ = ["server"]
    SERVER_FIELD_NUMBER: _ClassVar[int]
    server: ServerInfo
    def __init__(self, server: _Optional[_Union[ServerInfo, _Mapping]] = ...) -> None: ...

class ListNodesRequest(_message.Message):
    __slots__ = []
    def __init__(self) -> None: ...

class ListNodesResponse(_message.Message):
    __slots__ = ["nodes"]
    NODES_FIELD_NUMBER: _ClassVar[int]
    nodes: _containers.RepeatedCompositeFieldContainer[Node]
    def __init__(self, nodes: _Optional[_Iterable[_Union[Node, _Mapping]]] = ...) -> None: ...

class Node(_message.Message):
    __slots__ = ["address", "bytes_in_per_second", "leader", "moving_shard_count", "node_id", "open_time", "records_in_per_second", "session_id", "shard_count", "state"]
    ADDRESS_FIELD_NUMBER: _ClassVar[int]
    BYTES_IN_PER_SECOND_FIELD_NUMBER: _ClassVar[int]
    LEADER_FIELD_NUMBER: _ClassVar[int]
    MOVING_SHARD_COUNT_FIELD_NUMBER: _ClassVar[int]
    NODE_ID_FIELD_NUMBER: _ClassVar[int]
    OPEN_TIME_FIELD_NUMBER: _ClassVar[int]
    RECORDS_IN_PER_SECOND_FIELD_NUMBER: _ClassVar[int]
    SESSION_ID_FIELD_NUMBER: _ClassVar[int]
    SHARD_COUNT_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    address: str
    bytes_in_per_second: int
    leader: bool
    moving_shard_count: int
    node_id: str
    open_time: _timestamp_pb2.Timestamp
    records_in_per_second: int
    session_id: str
    shard_count: int
    state: NodeState
    def __init__(self, node_id: _Optional[str] = ..., session_id: _Optional[str] = ..., address: _Optional[str] = ..., state: _Optional[_Union[NodeState, str]] = ..., leader: bool = ..., shard_count: _Optional[int] = ..., moving_shard_count: _Optional[int] = ..., bytes_in_per_second: _Optional[int] = ..., records_in_per_second: _Optional[int] = ..., open_time: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class ServerInfo(_message.Message):
    __slots__ = ["cluster_id", "node_id", "region", "session_id", "shard_limits", "start_time", "state", "version"]
    CLUSTER_ID_FIELD_NUMBER: _ClassVar[int]
    NODE_ID_FIELD_NUMBER: _ClassVar[int]
    REGION_FIELD_NUMBER: _ClassVar[int]
    SESSION_ID_FIELD_NUMBER: _ClassVar[int]
    SHARD_LIMITS_FIELD_NUMBER: _ClassVar[int]
    START_TIME_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    cluster_id: str
    node_id: str
    region: str
    session_id: str
    shard_limits: ShardLimits
    start_time: _timestamp_pb2.Timestamp
    state: ServerState
    version: str
    def __init__(self, version: _Optional[str] = ..., cluster_id: _Optional[str] = ..., node_id: _Optional[str] = ..., session_id: _Optional[str] = ..., region: _Optional[str] = ..., shard_limits: _Optional[_Union[ShardLimits, str]] = ..., state: _Optional[_Union[ServerState, str]] = ..., start_time: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class NodeState(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = []

class ShardLimits(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = []

class ServerState(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = []
