"""One side of SASL conversations, done by the real Cyrus SASL (libsasl2): commands and answers are lines of JSON.

Bytes are in base64. The first command opens a side: {"side": "server" | "client", ...}.
"""

import base64
import ctypes as c
import json
import sys

SASL_OK, SASL_CONTINUE = 0, 1
CALLBACK_LIST_END, CALLBACK_GETOPT, CALLBACK_USER, CALLBACK_AUTHNAME, CALLBACK_PASS = 0, 1, 0x4001, 0x4002, 0x4004
PROPERTY_USERNAME, PROPERTY_SSF, PROPERTY_SECURITY = 0, 1, 101

GetOption = c.CFUNCTYPE(c.c_int, c.c_void_p, c.c_char_p, c.c_char_p, c.POINTER(c.c_char_p), c.POINTER(c.c_uint))
GetSimple = c.CFUNCTYPE(c.c_int, c.c_void_p, c.c_int, c.POINTER(c.c_char_p), c.POINTER(c.c_uint))
GetSecret = c.CFUNCTYPE(c.c_int, c.c_void_p, c.c_void_p, c.c_int, c.POINTER(c.c_void_p))


class Callback(c.Structure):
    _fields_ = [("id", c.c_ulong), ("proc", c.c_void_p), ("context", c.c_void_p)]


class Security(c.Structure):
    _fields_ = [
        ("min_ssf", c.c_uint),
        ("max_ssf", c.c_uint),
        ("maxbufsize", c.c_uint),
        ("security_flags", c.c_uint),
        ("property_names", c.c_void_p),
        ("property_values", c.c_void_p),
    ]


sasl = c.CDLL("libsasl2.so.2")
for name in ("sasl_server_start", "sasl_server_step", "sasl_client_start", "sasl_client_step"):
    getattr(sasl, name).restype = c.c_int
sasl.sasl_errdetail.restype = c.c_char_p


def decoded(text):
    return None if text is None else base64.b64decode(text)


def encoded(pointer, length):
    return base64.b64encode(c.string_at(pointer, length.value)).decode() if pointer.value else None


class Side:
    def __init__(self, options):
        self.options = options
        self.is_server = options["side"] == "server"
        self.kept = []
        self.connection = c.c_void_p()
        callbacks = self.server_callbacks() if self.is_server else self.client_callbacks()
        self.callbacks = (Callback * (len(callbacks) + 1))()
        for at, (number, function) in enumerate(callbacks):
            self.callbacks[at] = Callback(number, c.cast(function, c.c_void_p).value, None)
        host = options["host"].encode()
        service = options["service"].encode()
        if self.is_server:
            self.check(sasl.sasl_server_init(self.callbacks, service))
            self.check(
                sasl.sasl_server_new(service, host, None, None, None, None, 0, c.byref(self.connection))
            )
        else:
            self.check(sasl.sasl_client_init(self.callbacks))
            self.check(sasl.sasl_client_new(service, host, None, None, None, 0, c.byref(self.connection)))
        security = Security(options["minSsf"], options["maxSsf"], options["bufferBytes"], 0, None, None)
        self.check(sasl.sasl_setprop(self.connection, PROPERTY_SECURITY, c.byref(security)))

    def server_callbacks(self):
        settings = {
            b"mech_list": self.options["mechanism"].encode(),
            b"auxprop_plugin": b"sasldb",
            b"sasldb_path": self.options["database"].encode(),
            b"log_level": b"0",
            **{key.encode(): value.encode() for key, value in self.options.get("settings", {}).items()},
        }

        def get_option(_context, _plugin, option, result, length):
            if option not in settings:
                return -1
            result[0] = settings[option]
            if length:
                length[0] = len(settings[option])
            return SASL_OK

        self.kept = [settings, GetOption(get_option)]
        return [(CALLBACK_GETOPT, self.kept[1])]

    def client_callbacks(self):
        name = self.options["username"].encode()
        authzid = self.options.get("authzid", "").encode()
        password = self.options["password"].encode()
        secret = c.create_string_buffer(c.sizeof(c.c_ulong) + len(password) + 1)
        c.c_ulong.from_buffer(secret).value = len(password)
        secret[c.sizeof(c.c_ulong) : c.sizeof(c.c_ulong) + len(password)] = password

        def get_simple(_context, number, result, length):
            result[0] = authzid if number == CALLBACK_USER else name
            if length:
                length[0] = len(result[0])
            return SASL_OK

        def get_secret(_connection, _context, _number, result):
            result[0] = c.addressof(secret)
            return SASL_OK

        simple = GetSimple(get_simple)
        self.kept = [name, authzid, secret, simple, GetSecret(get_secret)]
        return [(CALLBACK_USER, simple), (CALLBACK_AUTHNAME, simple), (CALLBACK_PASS, self.kept[4])]

    def check(self, code):
        if code not in (SASL_OK, SASL_CONTINUE):
            raise RuntimeError(f"{code}: {(sasl.sasl_errdetail(self.connection) or b'').decode()}")
        return code == SASL_OK

    def start(self, data):
        out, length, given = c.c_void_p(), c.c_uint(), decoded(data)
        mechanism = self.options["mechanism"].encode()
        if self.is_server:
            code = sasl.sasl_server_start(
                self.connection, mechanism, given, len(given or b""), c.byref(out), c.byref(length)
            )
        else:
            chosen = c.c_char_p()
            code = sasl.sasl_client_start(
                self.connection, mechanism, None, c.byref(out), c.byref(length), c.byref(chosen)
            )
        return {"complete": self.check(code), "data": encoded(out, length)}

    def step(self, data):
        out, length, given = c.c_void_p(), c.c_uint(), decoded(data)
        if self.is_server:
            code = sasl.sasl_server_step(self.connection, given, len(given or b""), c.byref(out), c.byref(length))
        else:
            code = sasl.sasl_client_step(
                self.connection, given, len(given or b""), None, c.byref(out), c.byref(length)
            )
        return {"complete": self.check(code), "data": encoded(out, length)}

    def result(self):
        pointer = c.c_void_p()
        self.check(sasl.sasl_getprop(self.connection, PROPERTY_SSF, c.byref(pointer)))
        ssf = c.c_uint.from_address(pointer.value).value
        username = None
        if self.is_server:
            self.check(sasl.sasl_getprop(self.connection, PROPERTY_USERNAME, c.byref(pointer)))
            username = c.string_at(pointer.value).decode()
        return {"ssf": ssf, "username": username}

    def encode(self, data):
        out, length, given = c.c_void_p(), c.c_uint(), decoded(data)
        self.check(sasl.sasl_encode(self.connection, given, len(given), c.byref(out), c.byref(length)))
        return {"data": encoded(out, length)}

    def decode(self, data):
        out, length, given = c.c_void_p(), c.c_uint(), decoded(data)
        self.check(sasl.sasl_decode(self.connection, given, len(given), c.byref(out), c.byref(length)))
        return {"data": encoded(out, length)}


side = Side(json.loads(sys.stdin.readline()))
for line in sys.stdin:
    command = json.loads(line)
    try:
        method = getattr(side, command["do"])
        answer = method(command["data"]) if "data" in command else method()
    except RuntimeError as error:
        answer = {"error": str(error)}
    print(json.dumps(answer), flush=True)
