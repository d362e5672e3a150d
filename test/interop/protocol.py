"""docs/protocol.md in Python: signatures, tickets, key schedule, attach, sealed frames, pairing, hints. Bytes in, bytes out."""
import base64
import hashlib
import hmac as hmac_module
import json
import os
import time

from cryptography import x509
from cryptography.exceptions import InvalidSignature, InvalidTag
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

NO_BINDING = bytes(32)
CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"


class Refused(Exception):
    """What the other side said does not prove what it should."""


# --- notation ---

def L(x):
    return len(x).to_bytes(4, "big") + x


def u64(n):
    return n.to_bytes(8, "big")


def H(*parts):
    return hashlib.sha256(b"".join(parts)).digest()


def HMAC(key, *parts):
    return hmac_module.new(key, b"".join(parts), hashlib.sha256).digest()


def KDF(ikm, salt, info, n):
    return HKDF(algorithm=hashes.SHA256(), length=n, salt=salt, info=info).derive(ikm)


def b64u(x):
    return base64.urlsafe_b64encode(x).rstrip(b"=").decode()


def unb64u(text):
    value = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    if b64u(value) != text:
        raise Refused("another spelling of base64url")
    return value


def same(a, b):
    return hmac_module.compare_digest(a, b)


def now_ms():
    return int(time.time() * 1000)


def new_ephemeral(raw=None):
    return X25519PrivateKey.from_private_bytes(raw) if raw else X25519PrivateKey.generate()


def epk_of(private):
    return private.public_key().public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)


def x25519(private, peer):
    return private.exchange(X25519PublicKey.from_public_bytes(peer))  # raises on a key of low order


# --- section 1: identity and signatures ---

def fp_of(public_key):
    return H(public_key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo))


def algorithm_of(public_key):
    if isinstance(public_key, rsa.RSAPublicKey):
        return "PS256"
    if isinstance(public_key, ec.EllipticCurvePublicKey):
        return "ES256"
    if isinstance(public_key, ed25519.Ed25519PublicKey):
        return "EdDSA"
    raise Refused("a key of another kind")


def pss():
    return padding.PSS(mgf=padding.MGF1(hashes.SHA256()), salt_length=32)


def raw_sign(private_key, data):
    algorithm = algorithm_of(private_key.public_key())
    if algorithm == "PS256":
        return private_key.sign(data, pss(), hashes.SHA256())
    if algorithm == "ES256":
        r, s = decode_dss_signature(private_key.sign(data, ec.ECDSA(hashes.SHA256())))
        return r.to_bytes(32, "big") + s.to_bytes(32, "big")
    return private_key.sign(data)


def raw_verify(public_key, signature, data):
    algorithm = algorithm_of(public_key)
    if algorithm == "PS256":
        public_key.verify(signature, data, pss(), hashes.SHA256())
    elif algorithm == "ES256":
        r, s = (int.from_bytes(half, "big") for half in (signature[:32], signature[32:]))
        public_key.verify(encode_dss_signature(r, s), data, ec.ECDSA(hashes.SHA256()))
    else:
        public_key.verify(signature, data)


def sign_jws(private_key, typ, payload):
    header = json.dumps({"alg": algorithm_of(private_key.public_key()), "typ": typ}, separators=(",", ":"))
    text = f"{b64u(header.encode())}.{b64u(payload)}"
    return f"{text}.{b64u(raw_sign(private_key, text.encode()))}"


def verify_jws(public_key, typ, jws):
    """The payload's bytes."""
    header, payload, signature = jws.split(".")
    pairs = json.loads(unb64u(header), object_pairs_hook=list)
    if sorted(pairs) != [("alg", algorithm_of(public_key)), ("typ", typ)]:
        raise Refused("another header")
    try:
        raw_verify(public_key, unb64u(signature), f"{header}.{payload}".encode())
    except InvalidSignature as error:
        raise Refused("a bad signature") from error
    return unb64u(payload)


class Identity:
    def __init__(self, cloud_id, private_key, certificate_der):
        self.cloud_id = cloud_id
        self.private_key = private_key
        self.certificate_der = certificate_der
        self.fp = fp_of(private_key.public_key())


# --- section 2: getSession ---

def optimistic_proof(continuity, p):
    key = KDF(continuity, b"", b"alliance/1 optimistic", 32)
    return HMAC(key, L(p["iss"].encode()), L(p["aud"].encode()), unb64u(p["iss_key"]), unb64u(p["aud_key"]),
                u64(p["iat"]), unb64u(p["jti"]), unb64u(p["epk"]))


def ticket_of(cloud_id, jws):
    header, payload, signature = jws.split(".")
    return {"cloud_id": cloud_id, "signature": f"{header}..{signature}", "pki_data": payload}


def jws_of(ticket):
    header, empty, signature = ticket["signature"].split(".")
    if empty:
        raise Refused("no detached JWS")
    return f"{header}.{ticket['pki_data']}.{signature}"


def session_keys(ss, c, request_jws, answer_jws):
    """th, secret, continuity."""
    th = H(b"alliance/1 session", L(request_jws.encode()), L(answer_jws.encode()))
    return th, KDF(ss, c, b"alliance/1 secret" + th, 32), KDF(ss, c, b"alliance/1 continuity" + th, 32)


class SessionRequest:
    """One attempt; `previous` (a session) with optimistic."""

    def __init__(self, identity, partner, attempt, previous=None):
        self.identity, self.partner, self.attempt, self.previous = identity, partner, attempt, previous
        self.private = new_ephemeral()
        payload = {
            "v": 1, "attempt": attempt, "iss": identity.cloud_id, "aud": partner["cloud_id"],
            "iss_key": b64u(identity.fp), "aud_key": b64u(fp_of(partner["key"])), "iat": now_ms(),
            "jti": b64u(os.urandom(16)), "epk": b64u(epk_of(self.private)),
        }
        if attempt == "optimistic":
            payload["prev"] = {"sid": b64u(previous["sid"]),
                               "proof": b64u(optimistic_proof(previous["continuity"], payload))}
        self.jws = sign_jws(identity.private_key, "alliance-request", json.dumps(payload).encode())
        self.ticket = ticket_of(identity.cloud_id, self.jws)

    def finish(self, answer):
        """The session, or Refused."""
        jws, now = jws_of(answer), now_ms()
        p = json.loads(verify_jws(self.partner["key"], "alliance-answer", jws))
        expected = {
            "v": 1, "attempt": self.attempt, "iss": self.partner["cloud_id"], "aud": self.identity.cloud_id,
            "iss_key": b64u(fp_of(self.partner["key"])), "aud_key": b64u(self.identity.fp),
            "req": b64u(H(self.jws.encode())),
        }
        if answer["cloud_id"] != p["iss"] or any(p.get(name) != value for name, value in expected.items()):
            raise Refused("an answer to something else")
        if set(p) != set(expected) | {"iat", "jti", "epk", "sid", "valid_till"}:
            raise Refused("other members")
        if abs(now - p["iat"]) > 60_000 or not now < p["valid_till"] <= p["iat"] + 24 * 3_600_000:
            raise Refused("impossible times")
        ss = x25519(self.private, unb64u(p["epk"]))
        c = self.previous["continuity"] if self.attempt == "optimistic" else bytes(32)
        _, secret, continuity = session_keys(ss, c, self.jws, jws)
        return {"sid": unb64u(p["sid"]), "secret": secret, "continuity": continuity, "valid_till": p["valid_till"]}


# --- section 3: attach ---

def attach_context(sid, initiator, responder, cb, epk, nonce):
    """initiator and responder: (cloud_id, fp)."""
    return b"".join([b"alliance/1 attach", sid, L(initiator[0].encode()), L(responder[0].encode()),
                     initiator[1], responder[1], cb, epk, nonce])


def attach_mac(secret, ctx):
    return HMAC(KDF(secret, b"", b"alliance/1 attach key", 32), ctx)


def channel_keys(ss, secret, ctx, mac_i, epk_r, nonce_r):
    ta = H(L(ctx), mac_i, epk_r, nonce_r)
    k = KDF(ss, secret, b"alliance/1 channel" + ta, 120)
    return {"ta": ta, "key_I": k[:32], "iv_I": k[32:44], "key_R": k[44:76], "iv_R": k[76:88], "confirm": k[88:],
            "mac_R": HMAC(k[88:], b"alliance/1 responder", ta)}


class AttachAttempt:
    def __init__(self, identity, partner, session, cb=NO_BINDING):
        self.secret, self.private, nonce = session["secret"], new_ephemeral(), os.urandom(32)
        epk = epk_of(self.private)
        self.ctx = attach_context(session["sid"], (identity.cloud_id, identity.fp),
                                  (partner["cloud_id"], fp_of(partner["key"])), cb, epk, nonce)
        self.mac = attach_mac(self.secret, self.ctx)
        self.request = {"sid": session["sid"], "epk": epk, "nonce": nonce, "mac": self.mac}

    def finish(self, response):
        keys = channel_keys(x25519(self.private, response["epk"]), self.secret, self.ctx, self.mac,
                            response["epk"], response["nonce"])
        if not same(keys["mac_R"], response["mac"]):
            raise Refused("the responder does not hold the session")
        return Sealer(keys["key_I"], keys["iv_I"]), Opener(keys["key_R"], keys["iv_R"])


# --- section 4: sealed frames ---

class Direction:
    def __init__(self, key, iv):
        self.aead, self.iv, self.counter = AESGCM(key), int.from_bytes(iv, "big"), 0

    def next_nonce(self):
        nonce = self.iv ^ self.counter
        self.counter += 1
        return nonce.to_bytes(12, "big")


class Sealer(Direction):
    def seal(self, plaintext):
        header = (1 + len(plaintext) + 16).to_bytes(4, "big") + b"\xa1"
        return header + self.aead.encrypt(self.next_nonce(), plaintext, header)


class Opener(Direction):
    def open(self, frame):
        if frame[4] != 0xA1:
            raise Refused("a plain frame on a channel")
        try:
            return self.aead.decrypt(self.next_nonce(), frame[5:], frame[:5])
        except InvalidTag as error:
            raise Refused("a frame that does not open") from error


# --- section 6: pairing ---

def read_invitation(token):
    head, body, checksum = token.strip().split(".")
    if head != "alliance1" or unb64u(checksum) != H(b"alliance/1 invitation", body.encode())[:6]:
        raise Refused("the token is damaged")
    members = json.loads(unb64u(body))
    if members["v"] != 1:
        raise Refused("another version")
    return {**members, **{name: unb64u(members[name]) for name in ("id", "secret", "fp")}}


def invitation_key(invitation):
    return KDF(invitation["secret"], invitation["id"], b"alliance/1 pair", 32)


def commitment_of(r_a, card_a):
    return H(b"alliance/1 commit", r_a, L(card_a))


def transcript(invitation_id, card_a, commitment, card_b, r_b, r_a):
    return H(b"alliance/1 pair", invitation_id, L(card_a), commitment, L(card_b), r_b, r_a)


def code_bytes(kp, r_a, r_b, tp):
    return KDF(kp, r_a + r_b, b"alliance/1 code" + tp, 8)


def code_of(first_bytes):
    bits = int.from_bytes(first_bytes[:5], "big")
    text = "".join(CROCKFORD[bits >> shift & 31] for shift in range(35, -1, -5))
    return f"{text[:4]}-{text[4:]}"


def statement_of(side, tp):
    return {"v": 1, "side": side, "tp": b64u(tp)}


class Pairing:
    """The acceptor's side."""

    mirror = {"provider": "consumer", "consumer": "provider", "both": "both"}

    def __init__(self, identity, invitation, endpoints=(), binding="none"):
        self.identity, self.invitation, self.r_a = identity, invitation, os.urandom(32)
        self.kp = invitation_key(invitation)
        self.card = json.dumps({
            "cloud_id": identity.cloud_id, "certificate": b64u(identity.certificate_der), "endpoints": list(endpoints),
            "role": self.mirror[invitation["role"]], "binding": binding,
        }).encode()
        self.commitment = commitment_of(self.r_a, self.card)
        self.open = {"invitation_id": invitation["id"], "card": self.card, "commitment": self.commitment}

    def prove(self, offer, tls_fp):
        card = json.loads(offer["card"])
        key = x509.load_der_x509_certificate(unb64u(card["certificate"])).public_key()
        if not fp_of(key) == self.invitation["fp"] == tls_fp:
            raise Refused("another key than the invitation's")
        if (card["cloud_id"], card["role"]) != (self.invitation["cloud_id"], self.invitation["role"]):
            raise Refused("another cloud or role than the invitation's")
        self.partner = {"cloud_id": card["cloud_id"], "key": key, "endpoints": card["endpoints"]}
        self.r_b = offer["nonce"]
        self.tp = transcript(self.invitation["id"], self.card, self.commitment, offer["card"], self.r_b, self.r_a)
        payload = json.dumps(statement_of("acceptor", self.tp)).encode()
        return {"nonce": self.r_a, "signature": sign_jws(self.identity.private_key, "alliance-pair", payload),
                "mac": HMAC(self.kp, b"acceptor", self.tp)}

    def finish(self, result):
        """The partner and the verification code."""
        if not same(result["mac"], HMAC(self.kp, b"inviter", self.tp)):
            raise Refused("the inviter does not hold the invitation")
        payload = verify_jws(self.partner["key"], "alliance-pair", result["signature"])
        if json.loads(payload) != statement_of("inviter", self.tp):
            raise Refused("the inviter signed something else")
        return self.partner, code_of(code_bytes(self.kp, self.r_a, self.r_b, self.tp))


# --- section 9: tokens ---

def token_key(token):
    return H(b"alliance/1 token", token.encode())


def hint_of(key, asker, asked):
    return HMAC(key, b"alliance/1 hint", L(asker.encode()), L(asked.encode()))


def pseudonym_of(identifier, asker, asked):
    return b64u(H(b"alliance/1 revocation", L(asker.encode()), L(asked.encode()), identifier.encode())[:16])


def claim_proof(key, nonce, asker, asked):
    return HMAC(key, b"alliance/1 claim", nonce, L(asker.encode()), L(asked.encode()))
