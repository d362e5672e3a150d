/** The library: what embeds a broker, or calls partners as one. */
export { type Broker, type BrokerOptions, startBroker } from './broker/broker.ts';
export { rotateIdentity } from './broker/identity.ts';
export { type Initialised, type InitOptions, initHome } from './broker/init.ts';
export { type Installation, type OpenOptions, openInstallation } from './broker/installation.ts';
export { accept, approve, endTrust, invite, refreshPairing } from './broker/partners.ts';
export { AllianceError } from './core/errors.ts';
export type { ErrorName } from './core/errorTable.ts';
export {
  authenticate,
  type ForeignToken,
  type UserCredentials,
  type Validation,
  validateToken,
} from './rproxy/auth.ts';
export { endpoints, type RemoteEndpoint } from './rproxy/endpoints.ts';
export { ping } from './rproxy/ping.ts';
export { type RemoteService, services } from './rproxy/services.ts';
export { closeSessions, openSession } from './rproxy/session.ts';
