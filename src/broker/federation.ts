/** Tokens across clouds: what this broker knows of its own revocations and of its partners', and how it answers about partners' tokens. */
import { AllianceError } from '../core/errors.ts';
import type { Keystone } from '../lproxy/keystone.ts';
import type { Partner } from '../model/partner.ts';
import { partnerKeystones } from '../server/partnerKeystones.ts';
import { createForeignTokens, type ForeignTokens } from '../token/foreign.ts';
import { Hints } from '../token/hints.ts';
import { createLocaliser, type Localiser } from '../token/localise.ts';
import { PartnerNotices } from '../token/notices.ts';
import { OwnTokens } from '../token/ownTokens.ts';
import { type Followers, startFollowers } from '../token/revocation/follower.ts';
import { RevocationMarks } from '../token/revocation/marks.ts';
import { RevocationSource } from '../token/revocation/source.ts';
import { askWhetherLocal } from '../token/search.ts';
import type { Installation } from './installation.ts';

export interface Federation {
  readonly marks: RevocationMarks;
  readonly hints: Hints;
  /** What partners are told unasked. */
  readonly notices: PartnerNotices;
  /** Revocations of this cloud's own tokens. */
  readonly revocations: RevocationSource;
  /** Revocations of partners' tokens. */
  readonly followers: Followers;
  readonly foreign: ForeignTokens;
  /** @throws AllianceError configuration where this cloud has no Keystone */
  readonly localiser: () => Localiser;
  stop(): Promise<void>;
}

export async function startFederation(installation: Installation, keystone: Keystone | undefined): Promise<Federation> {
  const { pool, view, store, clock, log, telemetry, ownTokenKeys } = installation;
  const config = () => installation.config;
  const marks = new RevocationMarks(clock);
  const kept = { store: store.ownTokens, log };
  const ownTokens = new OwnTokens({ clock, kept, allHere: () => config().tokens.allLoginsHere });
  const hints = new Hints({ view, clock, own: ownTokens });
  await ownTokens.start();
  view.onLook(() => ownTokens.look());
  const revocations = new RevocationSource({ keystone, store, view, marks, clock, log });
  const notices = new PartnerNotices({ pool, view, hints, clock });
  revocations.onAppend((head) => notices.pop(head));
  await revocations.start();
  const followers = startFollowers({ pool, view, store, config, clock, log, telemetry, marks });
  if (keystone) ownTokenKeys.watch(keystone);
  await ownTokenKeys.list();
  view.onLook(() => void ownTokenKeys.list());
  const foreign = createForeignTokens({
    pool,
    view,
    config,
    clock,
    log,
    telemetry,
    marks,
    hints,
    followers,
    ownTokenKeys,
    isLocal: keystone && askWhetherLocal(keystone),
  });
  const shares = partnerKeystones(keystone, () => config().limits.keystoneConcurrencyPerPartner);
  const shareOf = (partner: Partner) => shares(partner) ?? missingKeystone();
  const { provisions } = store;
  const localiser =
    keystone && createLocaliser({ keystone, shareOf, store, provisions, view, pool, config, clock, log });
  return {
    marks,
    hints,
    notices,
    revocations,
    followers,
    foreign,
    localiser: () => localiser ?? missingKeystone(),
    stop: async () => {
      foreign.close();
      notices.close();
      await Promise.all([followers.stop(), revocations.stop(), ownTokens.stop()]);
    },
  };
}

export function missingKeystone(): never {
  throw new AllianceError('configuration', {
    field: 'keystone.auth_url',
    details: 'The facade stands before a Keystone, and keystone.auth_url is missing.',
  });
}
