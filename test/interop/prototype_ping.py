"""A client generated from the prototype's IDL (thrift --gen py prototype.thrift): prototype_ping.py HOST PORT. Prints what it got as JSON."""
import json
import sys

from prototype import AllianceService, ttypes
from thrift.protocol.TCompactProtocol import TCompactProtocol, TCompactProtocolAccelerated
from thrift.transport.TSocket import TSocket
from thrift.transport.TTransport import TFramedTransport


def main() -> None:
    answers = []
    for protocol in (TCompactProtocol, lambda transport: TCompactProtocolAccelerated(transport, fallback=False)):
        transport = TFramedTransport(TSocket(sys.argv[1], int(sys.argv[2])))
        transport.open()
        client = AllianceService.Client(protocol(transport))
        for cloud_id in ("anyone", ""):
            answer = client.ping(ttypes.PingRequest(cloud_id, "hello"))
            answers.append([answer.cloud_id, answer.response_data])
        try:
            client.getSession(ttypes.SessionTKT("anyone", "a..b", "c"))
            answers.append("no error")
        except ttypes.AException as error:
            answers.append(error.code)
        transport.close()
    print(json.dumps(answers))


main()
