from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from typing import ClassVar as _ClassVar, Iterable as _Iterable, Mapping as _Mapping, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class AddTagsRequest(_message.Message):
    __slots__ = ["consumer", "stream", "tags"]
    class TagsEntry(_message.Message):
        __slots__ = ["key", "value"]
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    CONSUMER_FIELD_NUMBER: _ClassVar[int]
    STREAM_FIELD_NUMBER: _ClassVar[int]
    TAGS_FIELD_NUMBER: _ClassVar[int]
    consumer: str
    stream: str
    tags: _containers.ScalarMap[str, str]
    def __init__(self, stream: _Optional[str] = ..., consumer: _Optional[str] = ..., tags: _Optional[_Mapping[str, str]] = ...) -> None: ...

class AddTagsResponse(_message.Message):
    __slots__ = []
    def __init__(self) -> None: ...

class DeleteResourcePolicyRequest(_message.Message):
    __slots__ = ["consumer", "stream"]
    CONSUMER_FIELD_NUMBER: _ClassVar[int]
    STREAM_FIELD_NUMBER: _ClassVar[int]
    consumer: str
    stream: str
    def __init__(self, stream: _Optional[str] = ..., consumer: _Optional[str] = ...) -> None: ...

class DeleteResourcePolicyResponse(_message.Message):
    __slots__ = []
    def __init__(self) -> None: ...

class GetResourcePolicyRequest(_message.Message):
    __slots__ = ["consumer", "stream"]
    CONSUMER_FIELD_NUMBER: _ClassVar[int]
    STREAM_FIELD_NUMBER: _ClassVar[int]
    consumer: str
    stream: str
    def __init__(self, stream: _Optional[str] = ..., consumer: _Optional[str] = ...) -> None: ...

class GetResourcePolicyResponse(_message.Message):
    __slots__ = ["policy"]
    POLICY_FIELD_NUMBER: _ClassVar[int]
    policy: str
    def __init__(self, policy: _Optional[str] = ...) -> None: ...

class ListTagsRequest(_message.Message):
    __slots__ = ["consumer", "stream"]
    CONSUMER_FIELD_NUMBER: _ClassVar[int]
    STREAM_FIELD_NUMBER: _ClassVar[int]
    consumer: str
    stream: str
    def __init__(self, stream: _Optional[str] = ..., consumer: _Optional[str] = ...) -> None: ...

class ListTagsResponse(_message.Message):
    __slots__ = ["tags"]
    TAGS_FIELD_NUMBER: _ClassVar[int]
    tags: _containers.RepeatedCompositeFieldContainer[Tag]
    def __init__(self, tags: _Optional[_Iterable[_Union[Tag, _Mapping]]] = ...) -> None: ...

class PutResourcePolicyRequest(_message.Message):
    __slots__ = ["consumer", "policy", "stream"]
    CONSUMER_FIELD_NUMBER: _ClassVar[int]
    POLICY_FIELD_NUMBER: _ClassVar[int]
    STREAM_FIELD_NUMBER: _ClassVar[int]
    consumer: str
    policy: str
    stream: str
    def __init__(self, stream: _Optional[str] = ..., consumer: _Optional[str] = ..., policy: _Optional[str] = ...) -> None: ...

class PutResourcePolicyResponse(_message.Message):
    __slots__ = []
    def __init__(self) -> None: ...

class RemoveTagsRequest(_message.Message):
    __slots__ = ["consumer", "names", "stream"]
    CONSUMER_FIELD_NUMBER: _ClassVar[int]
    NAMES_FIELD_NUMBER: _ClassVar[int]
    STREAM_FIELD_NUMBER: _ClassVar[int]
    consumer: str
    names: _containers.RepeatedScalarFieldContainer[str]
    stream: str
    def __init__(self, stream: _Optional[str] = ..., consumer: _Optional[str] = ..., names: _Optional[_Iterable[str]] = ...) -> None: ...

class RemoveTagsResponse(_message.Message):
    __slots__ = []
    def __init__(self) -> None: ...

class Tag(_message.Message):
    __slots__ = ["name", "value"]
    NAME_FIELD_NUMBER: _ClassVar[int]
    VALUE_FIELD_NUMBER: _ClassVar[int]
    name: str
    value: str
    def __init__(self, name: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
