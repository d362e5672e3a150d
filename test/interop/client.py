"""
A reference client, driven by JSON: each line of standard input is a command, each line of standard output its result. It keeps identity,
partner and session in memory. See COMMANDS at the end.
"""
import datetime
import json
import socket
import ssl
import sys
from urllib.parse import urlsplit

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

import protocol
import wire


def tls_context():
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_3
    return context


class Connection:
    """One connection to an endpoint: plain, and sealed after `attach`. With TLS, only to who shows the pinned key."""

    def __init__(self, endpoint, pinned_fp):
        url = urlsplit(endpoint)
        self.socket = socket.create_connection((url.hostname, url.port), timeout=15)
        self.tls_fp, self.seqid, self.sealer, self.opener = None, 0, None, None
        if url.scheme == "tls":
            name = f"{pinned_fp[:16].hex()}.key.alliance.invalid"
            self.socket = tls_context().wrap_socket(self.socket, server_hostname=name)
            certificate = x509.load_der_x509_certificate(self.socket.getpeercert(binary_form=True))
            self.tls_fp = protocol.fp_of(certificate.public_key())
            if self.tls_fp != pinned_fp:
                self.close()
                raise protocol.Refused("TLS shows another key")

    def close(self):
        self.socket.close()

    def read_exactly(self, size):
        data = b""
        while len(data) < size:
            chunk = self.socket.recv(size - len(data))
            if not chunk:
                raise EOFError("the connection ended")
            data += chunk
        return data

    def read_frame(self):
        header = self.read_exactly(4)
        return header + self.read_exactly(int.from_bytes(header, "big"))

    def read_messages(self):
        frame = self.read_frame()
        return wire.split_messages(self.opener.open(frame) if self.opener else frame)

    def call(self, method, argument=None):
        return self.call_all([(method, argument)])[0]

    def call_all(self, calls):
        """Several calls in one frame; the answers in the order of the calls, exceptions raised."""
        waiting, messages = {}, b""
        for method, argument in calls:
            self.seqid += 1
            waiting[self.seqid] = method
            messages += wire.encode_call(method, self.seqid, argument)
        order = list(waiting)
        self.socket.sendall(self.sealer.seal(messages) if self.sealer else messages)
        answers = {}
        while waiting:
            for message in self.read_messages():
                name, seqid, value = wire.decode_answer(message)
                if waiting.pop(seqid) != name:
                    raise protocol.Refused("an answer to another method")
                answers[seqid] = value
        for seqid in order:
            if isinstance(answers[seqid], Exception):
                raise answers[seqid]
        return [answers[seqid] for seqid in order]

    def attach(self, identity, partner, session):
        attempt = protocol.AttachAttempt(identity, partner, session)
        self.last_attach = attempt.request
        self.sealer, self.opener = attempt.finish(self.call("attach", attempt.request))


def new_key(kind):
    if kind == "RSA-3072":
        return rsa.generate_private_key(public_exponent=65537, key_size=3072)
    return ec.generate_private_key(ec.SECP256R1()) if kind == "P-256" else ed25519.Ed25519PrivateKey.generate()


def new_identity(cloud_id, kind):
    key = new_key(kind)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, cloud_id)])
    today = datetime.datetime.utcnow()
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    builder = builder.serial_number(x509.random_serial_number()).not_valid_before(today - datetime.timedelta(days=1))
    certificate = builder.not_valid_after(today + datetime.timedelta(days=30)).sign(
        key, None if kind == "Ed25519" else hashes.SHA256())
    return protocol.Identity(cloud_id, key, certificate.public_bytes(serialization.Encoding.DER))


class Client:
    def __init__(self):
        self.identity = self.partner = self.session = self.channel = self.request = None

    def init(self, cloud_id, kind):
        self.identity = new_identity(cloud_id, kind)
        return {"fp": self.identity.fp.hex()}

    def pair(self, token):
        invitation = protocol.read_invitation(token)
        endpoint = next(each for each in invitation["endpoints"] if each.startswith("tls://"))
        connection = Connection(endpoint, invitation["fp"])
        pairing = protocol.Pairing(self.identity, invitation)
        offer = connection.call("pair", {"open": pairing.open})["offer"]
        proof = pairing.prove(offer, connection.tls_fp)
        result = connection.call("pair", {"proof": proof})["result"]
        self.partner, code = pairing.finish(result)
        connection.close()
        return {"partner": self.partner["cloud_id"], "code": code, "state": ["PENDING", "ACTIVE"][result["state"] - 1],
                "endpoints": self.partner["endpoints"]}

    def connect(self, endpoint):
        return Connection(endpoint, protocol.fp_of(self.partner["key"]))

    def getSession(self, endpoint, attempt):
        connection = self.connect(endpoint)
        self.request = protocol.SessionRequest(self.identity, self.partner, attempt, self.session)
        try:
            answer = connection.call("getSession", self.request.ticket)
        finally:
            connection.close()
        self.session = self.request.finish(answer)
        return {"sid": self.session["sid"].hex(), "valid_till": self.session["valid_till"]}

    def replayTicket(self, endpoint):
        connection = self.connect(endpoint)
        try:
            return connection.call("getSession", self.request.ticket)
        finally:
            connection.close()

    def attach(self, endpoint):
        if self.channel:
            self.channel.close()
        self.channel = self.connect(endpoint)
        self.channel.attach(self.identity, self.partner, self.session)
        return {"sealed": True}

    def replayAttach(self, endpoint):
        """The same request again is answered, but makes no channel for who has no keys: the first frame ends it."""
        connection = self.connect(endpoint)
        response = connection.call("attach", self.channel.last_attach)
        connection.socket.sendall(protocol.Sealer(bytes(32), bytes(12)).seal(
            wire.encode_call("ping", 1, {"cloud_id": "x", "request_data": ""})))
        return {"answered": len(response["mac"]), "afterwards": connection.socket.recv(1).hex()}

    def forgetContinuity(self):
        self.session["continuity"] = bytes(32)
        return {}

    def call(self, method, argument=None):
        return self.channel.call(method, argument)

    def pings(self, count):
        request = {"cloud_id": self.identity.cloud_id, "request_data": "hello"}
        return self.channel.call_all([("ping", request)] * count)

    def plainCall(self, endpoint, method, argument=None):
        connection = self.connect(endpoint)
        try:
            return connection.call(method, argument)
        finally:
            connection.close()

    def plainFrameOnChannel(self):
        self.channel.socket.sendall(wire.encode_call("ping", 1, {"cloud_id": "x", "request_data": ""}))
        return {"afterwards": self.channel.socket.recv(1).hex()}


COMMANDS = ("init", "pair", "getSession", "replayTicket", "attach", "replayAttach", "forgetContinuity", "call", "pings",
            "plainCall", "plainFrameOnChannel")


def main():
    client = Client()
    for line in sys.stdin:
        command, *arguments = json.loads(line)
        try:
            if command not in COMMANDS:
                raise ValueError(command)
            result = {"value": getattr(client, command)(*arguments)}
        except wire.AllianceException as error:
            result = {"code": error.code, "error": error.fields}
        except Exception as error:  # the driver decides what was meant to fail
            result = {"failed": f"{type(error).__name__}: {error}"}
        print(json.dumps(result, default=lambda value: value.hex()), flush=True)


main()
