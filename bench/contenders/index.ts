/** Every contender by name, loaded only in its own process. */
import type { Contender } from '../load.ts';

const loaders = {
  npmThrift: async () => (await import('./npmThrift.ts')).npmThrift,
  rawEcho: async () => (await import('./rawEcho.ts')).rawEcho,
  grpcJs: async () => (await import('./grpcJs.ts')).grpcJs,
  rsaSign: async () => (await import('./rsaSign.ts')).rsaSign,
  plain: async () => (await import('./alliance.ts')).plain,
  sealed: async () => (await import('./alliance.ts')).sealed,
  validateSoft: async () => (await import('./alliance.ts')).validateSoft,
  handshakes: async () => (await import('./alliance.ts')).handshakes,
  validations: async () => (await import('./validations.ts')).validations,
  sealedChunks: async () => (await import('./chunks.ts')).sealedChunks,
  sealedTlsChunks: async () => (await import('./chunks.ts')).sealedTlsChunks,
  imageSync: async () => (await import('./imageSync.ts')).imageSync,
  imageListing: async () => (await import('./imageSync.ts')).imageListing,
  rawTls: async () => (await import('./chunks.ts')).rawTls,
  idlePartner: async () => (await import('./alliance.ts')).idlePartner,
} satisfies Record<string, () => Promise<Contender>>;

export type ContenderName = keyof typeof loaders;

export const loadContender = (name: ContenderName): Promise<Contender> => loaders[name]();
