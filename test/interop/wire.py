"""Framed compact Thrift, as docs/protocol.md has it: messages as bytes, and structs from the tables below (thrift/AllianceService.thrift)."""
from thrift.protocol.TCompactProtocol import TCompactProtocol
from thrift.Thrift import TApplicationException, TMessageType, TType
from thrift.transport.TTransport import TMemoryBuffer

# name: (field, name, type); a type is string, binary, i32, i64, bool, [element], or the name of a struct.
STRUCTS = {
    "AException": [(1, "code", "i32"), (2, "message", "string"), (3, "request_id", "string"),
                   (4, "retryable", "bool"), (5, "retry_after_ms", "i32")],
    "SessionTKT": [(1, "cloud_id", "string"), (2, "signature", "string"), (3, "pki_data", "string")],
    "PingRequest": [(1, "cloud_id", "string"), (2, "request_data", "string")],
    "PingResponse": [(1, "cloud_id", "string"), (2, "response_data", "string")],
    "PairOpen": [(1, "invitation_id", "binary"), (2, "card", "binary"), (3, "commitment", "binary")],
    "PairOffer": [(1, "card", "binary"), (2, "nonce", "binary")],
    "PairProof": [(1, "nonce", "binary"), (2, "signature", "string"), (3, "mac", "binary")],
    "PairResult": [(1, "signature", "string"), (2, "mac", "binary"), (3, "state", "i32")],
    "PairRequest": [(1, "open", "PairOpen"), (2, "proof", "PairProof")],
    "PairResponse": [(1, "offer", "PairOffer"), (2, "result", "PairResult")],
    "AttachRequest": [(1, "sid", "binary"), (2, "epk", "binary"), (3, "nonce", "binary"), (4, "mac", "binary")],
    "AttachResponse": [(1, "epk", "binary"), (2, "nonce", "binary"), (3, "mac", "binary")],
    "PairingStatus": [(1, "state", "i32"), (2, "trust_since", "i64"), (3, "trust_till", "i64")],
    "ValidateTokenRequest": [(1, "token", "string")],
    "TokenValidation": [(1, "status", "i32"), (2, "reason", "i32"), (3, "expires_at", "i64"),
                        (4, "checked_at", "i64"), (5, "body", "string")],
    "ServiceFilter": [(1, "type", "string"), (2, "name", "string")],
    "ServiceInfo": [(1, "id", "string"), (2, "type", "string"), (3, "name", "string"), (4, "description", "string")],
    "IdentityCertificate": [(1, "certificate", "binary"), (2, "state", "i32"), (3, "not_before", "i64"),
                            (4, "not_after", "i64")],
    "TrustBundle": [(1, "cloud_id", "string"), (2, "sequence", "i64"), (3, "refresh_hint_s", "i32"),
                    (4, "certificates", ["IdentityCertificate"])],
}

# method: (type of the argument or None, type of the result)
METHODS = {
    "ping": ("PingRequest", "PingResponse"),
    "getSession": ("SessionTKT", "SessionTKT"),
    "pair": ("PairRequest", "PairResponse"),
    "attach": ("AttachRequest", "AttachResponse"),
    "getPairing": (None, "PairingStatus"),
    "getTrustBundle": (None, "TrustBundle"),
    "validateTokenHard": ("ValidateTokenRequest", "TokenValidation"),
    "validateTokenSoft": ("ValidateTokenRequest", "TokenValidation"),
    "getServices": ("ServiceFilter", ["ServiceInfo"]),
}

TYPES = {"string": TType.STRING, "binary": TType.STRING, "i32": TType.I32, "i64": TType.I64, "bool": TType.BOOL}


class AllianceException(Exception):
    """AException of the other side."""

    def __init__(self, fields):
        super().__init__(f"{fields['code']} {fields['message']}")
        self.code = fields["code"]
        self.fields = fields


def thrift_type(kind):
    return TType.LIST if isinstance(kind, list) else TYPES.get(kind, TType.STRUCT)


def write_value(protocol, kind, value):
    if kind in TYPES:
        name = {"string": "String", "binary": "Binary", "i32": "I32", "i64": "I64", "bool": "Bool"}[kind]
        getattr(protocol, "write" + name)(value)
    else:
        write_fields(protocol, STRUCTS[kind], value)


def write_fields(protocol, fields, values):
    protocol.writeStructBegin("")
    for number, name, kind in fields:
        if values.get(name) is not None:
            protocol.writeFieldBegin(name, thrift_type(kind), number)
            write_value(protocol, kind, values[name])
            protocol.writeFieldEnd()
    protocol.writeFieldStop()
    protocol.writeStructEnd()


def read_value(protocol, kind):
    if isinstance(kind, list):
        _, size = protocol.readListBegin()
        values = [read_value(protocol, kind[0]) for _ in range(size)]
        protocol.readListEnd()
        return values
    if kind in TYPES:
        name = {"string": "String", "binary": "Binary", "i32": "I32", "i64": "I64", "bool": "Bool"}[kind]
        return getattr(protocol, "read" + name)()
    return read_fields(protocol, STRUCTS[kind])


def read_fields(protocol, fields):
    known = {number: (name, kind) for number, name, kind in fields}
    values = {}
    protocol.readStructBegin()
    while True:
        _, field_type, number = protocol.readFieldBegin()
        if field_type == TType.STOP:
            break
        if number in known and field_type == thrift_type(known[number][1]):
            name, kind = known[number]
            values[name] = read_value(protocol, kind)
        else:
            protocol.skip(field_type)
        protocol.readFieldEnd()
    protocol.readStructEnd()
    return values


def framed(body):
    return len(body).to_bytes(4, "big") + body


def encode_call(method, seqid, argument):
    """One message behind its u32 length."""
    buffer = TMemoryBuffer()
    protocol = TCompactProtocol(buffer)
    kind = METHODS[method][0]
    protocol.writeMessageBegin(method, TMessageType.CALL, seqid)
    write_fields(protocol, [(1, "argument", kind)] if kind else [], {"argument": argument})
    protocol.writeMessageEnd()
    return framed(buffer.getvalue())


def decode_answer(message):
    """seqid, and the value or the exception that a reply holds."""
    protocol = TCompactProtocol(TMemoryBuffer(message))
    name, message_type, seqid = protocol.readMessageBegin()
    if message_type == TMessageType.EXCEPTION:
        error = TApplicationException()
        error.read(protocol)
        return name, seqid, error
    if message_type != TMessageType.REPLY:
        raise ValueError("not an answer")
    result = read_fields(protocol, [(0, "success", METHODS[name][1]), (1, "error", "AException")])
    if "error" in result:
        return name, seqid, AllianceException(result["error"])
    return name, seqid, result["success"]


def split_messages(plaintext):
    """The messages of a sealed frame's plaintext."""
    messages = []
    while plaintext:
        size = int.from_bytes(plaintext[:4], "big")
        if size == 0 or 4 + size > len(plaintext):
            raise ValueError("a broken message length")
        messages.append(plaintext[4:4 + size])
        plaintext = plaintext[4 + size:]
    return messages
