"""Checks every vector with protocol.py: vectors.py FOLDER. Prints how many values were checked, or says which one differs."""
import json
import pathlib
import sys

from cryptography import x509
from cryptography.hazmat.primitives import serialization

import protocol

folder = pathlib.Path(sys.argv[1])
checked = 0


def read(name):
    return json.loads((folder / f"{name}.json").read_text())


def equal(what, computed, expected):
    global checked
    computed = computed.hex() if isinstance(computed, bytes) else computed
    if computed != expected:
        sys.exit(f"{what}: computed {computed}, expected {expected}")
    checked += 1


def raw(text):
    return bytes.fromhex(text)


def load_identity(vector):
    key = serialization.load_pem_private_key(vector["private_key_pem"].encode(), None)
    certificate = x509.load_der_x509_certificate(raw(vector["certificate_der"]))
    equal("fp of certificate", protocol.fp_of(certificate.public_key()), vector["fp"])
    equal("fp of key", protocol.fp_of(key.public_key()), vector["fp"])
    equal("algorithm", protocol.algorithm_of(key.public_key()), vector["algorithm"])
    return protocol.Identity(vector.get("cloud_id", "east"), key, raw(vector["certificate_der"]))


def check_signed(identity, typ, jws, payload):
    equal(f"{typ} verifies", protocol.verify_jws(identity.private_key.public_key(), typ, jws).decode(), payload)
    # Ed25519 is deterministic: our signature over the same bytes is the same.
    if protocol.algorithm_of(identity.private_key.public_key()) == "EdDSA":
        equal(f"{typ} is signed the same", protocol.sign_jws(identity.private_key, typ, payload.encode()), jws)


def check_tickets(east, west, tickets):
    for session in tickets["sessions"]:
        request_jws, answer_jws = protocol.jws_of(session["request"]), protocol.jws_of(session["answer"])
        check_signed(east, "alliance-request", request_jws, session["request_payload"])
        check_signed(west, "alliance-answer", answer_jws, session["answer_payload"])
        request, answer = json.loads(session["request_payload"]), json.loads(session["answer_payload"])
        equal("cloud_id of the request", session["request"]["cloud_id"], request["iss"])
        for name, value in {"iss": request["aud"], "aud": request["iss"], "iss_key": request["aud_key"],
                            "aud_key": request["iss_key"], "attempt": request["attempt"]}.items():
            equal(f"mirrored {name}", answer[name], value)
        equal("req", answer["req"], protocol.b64u(protocol.H(request_jws.encode())))
        equal("valid_till", answer["valid_till"], answer["iat"] + 36_000_000)
        for side, payload in (("initiator", request), ("responder", answer)):
            private = protocol.new_ephemeral(raw(session[f"{side}_ephemeral_private"]))
            equal(f"epk of the {side}", protocol.b64u(protocol.epk_of(private)), payload["epk"])
        if session["attempt"] == "optimistic":
            equal("prev.sid", protocol.unb64u(request["prev"]["sid"]), session["previous"]["sid"])
            proof = protocol.optimistic_proof(raw(session["previous"]["continuity"]), request)
            equal("proof", protocol.b64u(proof), request["prev"]["proof"])
    for vector in tickets["signatures"]:
        identity = load_identity(vector)
        payload = protocol.unb64u(vector["jws"].split(".")[1]).decode()
        check_signed(identity, "alliance-request", vector["jws"], payload)


def check_schedule(schedule):
    for s in schedule["sessions"]:
        ours = protocol.new_ephemeral(raw(s["initiator_ephemeral_private"]))
        theirs = protocol.new_ephemeral(raw(s["responder_ephemeral_private"]))
        equal("ss", protocol.x25519(ours, raw(s["responder_epk"])), s["ss"])
        equal("ss of the other side", protocol.x25519(theirs, raw(s["initiator_epk"])), s["ss"])
        th, secret, continuity = protocol.session_keys(raw(s["ss"]), raw(s["c"]), s["request_jws"], s["answer_jws"])
        for name, value in {"th": th, "secret": secret, "continuity": continuity}.items():
            equal(name, value, s[name])
    for a in schedule["attaches"]:
        initiator, responder = ((a[side]["cloud_id"], raw(a[side]["fp"])) for side in ("initiator", "responder"))
        ctx = protocol.attach_context(raw(a["sid"]), initiator, responder, raw(a["cb"]), raw(a["epk_I"]), raw(a["nonce_I"]))
        equal("ctx", ctx, a["ctx"])
        equal("mac_I", protocol.attach_mac(raw(a["secret"]), ctx), a["mac_I"])
        ss = protocol.x25519(protocol.new_ephemeral(raw(a["initiator_ephemeral_private"])), raw(a["epk_R"]))
        equal("ss of attach", ss, a["ss"])
        keys = protocol.channel_keys(ss, raw(a["secret"]), ctx, raw(a["mac_I"]), raw(a["epk_R"]), raw(a["nonce_R"]))
        for name, value in keys.items():
            equal(name, value, a[name])


def check_frames(frames):
    for direction in frames["directions"]:
        sealer = protocol.Sealer(raw(direction["key"]), raw(direction["iv"]))
        opener = protocol.Opener(raw(direction["key"]), raw(direction["iv"]))
        for frame in direction["frames"]:
            equal("counter", sealer.counter, frame["counter"])
            equal("frame", sealer.seal(raw(frame["plaintext"])), frame["frame"])
            equal("plaintext", opener.open(raw(frame["frame"])), frame["plaintext"])


def check_pairing(east, west, p):
    invitation = protocol.read_invitation(p["invitation"]["token"])
    for name, value in p["invitation"].items():
        if name != "token":
            equal(f"invitation {name}", invitation[name], value)
    kp = protocol.invitation_key(invitation)
    equal("kp", kp, p["kp"])
    r_a, r_b, card_a, card_b = raw(p["r_A"]), raw(p["r_B"]), p["card_A"].encode(), p["card_B"].encode()
    commitment = protocol.commitment_of(r_a, card_a)
    equal("commitment", commitment, p["commitment"])
    tp = protocol.transcript(invitation["id"], card_a, commitment, card_b, r_b, r_a)
    equal("tp", tp, p["tp"])
    for side, identity in (("acceptor", east), ("inviter", west)):
        equal(f"mac of the {side}", protocol.HMAC(kp, side.encode(), tp), p[f"{side}_mac"])
        payload = protocol.unb64u(p[f"{side}_jws"].split(".")[1]).decode()
        equal("statement", json.loads(payload), protocol.statement_of(side, tp))
        check_signed(identity, "alliance-pair", p[f"{side}_jws"], payload)
    equal("bytes of the code", protocol.code_bytes(kp, r_a, r_b, tp), p["code_bytes"])
    equal("code", protocol.code_of(raw(p["code_bytes"])), p["code"])


def check_hints(hints):
    for t in hints["tokens"]:
        key = protocol.token_key(t["token"])
        equal("key of a token", key, t["key"])
        equal("hint", protocol.hint_of(key, t["asker"], t["asked"]), t["hint"])
        equal("proof of a claim", protocol.claim_proof(key, raw(t["nonce"]), t["asker"], t["asked"]), t["proof"])
    for i in hints["ids"]:
        equal("pseudonym of an id", protocol.pseudonym_of(i["id"], i["asker"], i["asked"]), i["pseudonym"])


tickets = read("tickets")
east, west = (load_identity(vector) for vector in tickets["identities"])
check_tickets(east, west, tickets)
check_schedule(read("key-schedule"))
check_frames(read("frames"))
check_pairing(east, west, read("pairing"))
check_hints(read("hints"))
print(checked)
