/**
 * What a client of the 2014 prototype was generated from: these names and numbers are answered to this day.
 * The folder prototype/ was made from it: thrift --gen py -out test/interop test/interop/prototype.thrift
 */
namespace py prototype

exception AException {
  1: i32 code
  2: string message
}

struct SessionTKT {
  1: string cloud_id
  2: string signature
  3: string pki_data
}

struct PingRequest {
  1: string cloud_id
  2: string request_data
}

struct PingResponse {
  1: string cloud_id
  2: string response_data
}

service AllianceService {
  SessionTKT getSession(1: SessionTKT ticket) throws (1: AException error)
  PingResponse ping(1: PingRequest request) throws (1: AException error)
}
