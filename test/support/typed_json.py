"""JSON that keeps what JSON mixes up: integers and floats, text and bytes, keys of any type."""

import datetime
import struct

import msgpack


def typed(value):
    """The JSON form of a value: [kind, content]."""
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int):
        return ["int", str(value)]
    if isinstance(value, float):
        return ["float", "nan" if value != value else struct.pack(">d", value).hex()]
    if isinstance(value, str):
        return ["str", value.encode("utf-8", "surrogateescape").hex()]
    if isinstance(value, (bytes, bytearray)):
        return ["bin", value.hex()]
    if isinstance(value, msgpack.ExtType):
        return ["ext", [value.code, value.data.hex()]]
    if isinstance(value, datetime.datetime):
        return ["ext", [78, value.strftime("%Y%m%dT%H:%M:%S.%f").encode().hex()]]
    if isinstance(value, (list, tuple)):
        return ["list", [typed(item) for item in value]]
    if isinstance(value, dict):
        return ["map", [[typed(key), typed(item)] for key, item in value.items()]]
    raise TypeError(type(value))


def untyped(form):
    """The value of a JSON form."""
    if form is None or isinstance(form, bool):
        return form
    kind, content = form
    if kind == "int":
        return int(content)
    if kind == "float":
        return float("nan") if content == "nan" else struct.unpack(">d", bytes.fromhex(content))[0]
    if kind == "str":
        return bytes.fromhex(content).decode("utf-8", "surrogateescape")
    if kind == "bin":
        return bytes.fromhex(content)
    if kind == "ext":
        return msgpack.ExtType(content[0], bytes.fromhex(content[1]))
    if kind == "list":
        return [untyped(item) for item in content]
    return {untyped(key): untyped(item) for key, item in content}
