import { copyFileSync, renameSync } from 'node:fs';
import { expect } from 'chai';
import { type OwnIdentity, TrustView } from '../../src/client/trustView.ts';
import type { Clock } from '../../src/core/clock.ts';
import { AllianceError } from '../../src/core/errors.ts';
import { trustLimits } from '../../src/core/limits.ts';
import { type Logger, silentLogger } from '../../src/core/log.ts';
import type { NewPartner } from '../../src/model/partner.ts';
import type { Store } from '../../src/model/store.ts';
import { createShiftedClock } from '../support/clock.ts';
import { rejection } from '../support/errors.ts';
import { makeIdentity } from '../support/identity.ts';
import { createTestFile, newPartner, type TestFile } from '../support/store.ts';

const hourMs = 3_600_000;

describe('trust view', () => {
  let file: TestFile;
  let store: Store;
  let view: TrustView;
  let own: OwnIdentity[];
  const clock = createShiftedClock();

  const keyOf = ({ fingerprint, algorithm, certificateDer, notBefore, notAfter }: ReturnType<typeof makeIdentity>) => ({
    fingerprint,
    algorithm,
    certificateDer,
    notBefore,
    notAfter,
  });
  const add = (cloudId: string, changes: Partial<NewPartner> = {}) =>
    store.partners.add(newPartner(cloudId, { key: keyOf(makeIdentity(cloudId)), ...changes }));

  beforeEach(async () => {
    file = createTestFile(clock as Clock);
    store = await file.open();
    own = [{ identity: makeIdentity('east'), sequence: 1, overlapTill: null }];
    view = new TrustView({ store, clock, log: silentLogger, loadIdentities: async () => own });
    await view.start();
  });
  afterEach(async () => {
    view.stop();
    await file.remove();
  });

  it('sees what another process has changed by itself, within the time of one look', async () => {
    const other = await file.open();
    const { uid } = await other.partners.add(newPartner('west', { key: keyOf(makeIdentity('west')) }));
    const startedAt = performance.now();
    await new Promise<void>((resolve) => view.onLook((changed) => changed && resolve()));
    expect(performance.now() - startedAt).to.be.lessThan(trustLimits.epochPollMs + 250);
    expect(view.partnerByUid(uid)?.cloudId).to.equal('west');
    expect(view.partnerByCloudId('west')?.uid).to.equal(uid);
    expect([...view.partners]).to.have.length(1);
  });

  it('reads nothing again as long as nothing has changed', async () => {
    const west = await add('west');
    await view.refresh();
    const first = view.partnerByUid(west.uid);
    await store.partners.touch(west.uid, clock.now());
    await view.refresh();
    expect(view.partnerByUid(west.uid)).to.equal(first);
    const changes: boolean[] = [];
    view.onLook((changed) => changes.push(changed));
    await view.refresh();
    await store.partners.apply(west.uid, 'suspend');
    await view.refresh();
    expect(changes).to.deep.equal([false, true]);
    expect(view.partnerByUid(west.uid)?.state).to.equal('suspended');
  });

  it('forgets who was removed', async () => {
    const west = await add('west');
    await view.refresh();
    await store.partners.remove(west.uid);
    await view.refresh();
    expect(view.partnerByUid(west.uid)).to.equal(undefined);
    expect(view.partnerByCloudId('west')).to.equal(undefined);
  });

  it('trust ends by the clock, without a look', async () => {
    const west = await add('west', { trustTill: clock.now() + hourMs });
    await view.refresh();
    const known = view.partnerByUid(west.uid)!;
    expect(view.stateOf(known)).to.equal('active');
    clock.advance(hourMs);
    expect(view.stateOf(known)).to.equal('expired');
  });

  it('pins the keys that count now: both in an overlap, the newer one after it', async () => {
    const [old, next] = [makeIdentity('west'), makeIdentity('west', 'Ed25519')];
    const { uid } = await add('west', { key: keyOf(old) });
    await store.partners.rotateKeys(uid, {
      sequence: 1,
      oldFingerprint: old.fingerprint,
      key: keyOf(next),
      overlapTill: clock.now() + hourMs,
    });
    await view.refresh();
    const pins = () => view.pinsOf(view.partnerByUid(uid)!).map((pin) => pin.fingerprint.toString('hex'));
    expect(pins()).to.deep.equal([old, next].map(({ fingerprint }) => fingerprint.toString('hex')));
    expect(view.pinsOf(view.partnerByUid(uid)!)[1]!.publicKey.asymmetricKeyType).to.equal('ed25519');
    clock.advance(hourMs);
    expect(pins()).to.deep.equal([next.fingerprint.toString('hex')]);
  });

  it('shows a partner the newest of our keys that it has acknowledged, while that counts', async () => {
    const west = await add('west', { acknowledgedSequence: 1 });
    const former = own[0]!;
    own = [
      { identity: makeIdentity('east'), sequence: 2, overlapTill: null },
      { ...former, overlapTill: clock.now() + hourMs },
    ];
    await store.partners.update(west.uid, { name: 'the-west' });
    await view.refresh();
    const shown = () => view.identityFor(view.partnerByUid(west.uid)!).fingerprint.toString('hex');
    expect(view.current.sequence).to.equal(2);
    expect(shown()).to.equal(former.identity.fingerprint.toString('hex'));
    await store.partners.update(west.uid, { acknowledgedSequence: 2 });
    await view.refresh();
    expect(shown()).to.equal(own[0]!.identity.fingerprint.toString('hex'));
    await store.partners.update(west.uid, { acknowledgedSequence: 1 });
    await view.refresh();
    clock.advance(hourMs);
    expect(view.identities).to.have.length(1);
    expect(shown()).to.equal(own[0]!.identity.fingerprint.toString('hex'));
  });

  it('is lost 5 s after the database has last answered, and tells so at every look', async () => {
    await store.close();
    await rejection(view.refresh(), 'shutting_down');
    expect(view.lost).to.equal(false);
    clock.advance(60_000);
    expect(view.lost).to.equal(false);
    clock.elapse(trustLimits.databaseLossMs + 1);
    expect(view.lost).to.equal(true);
    await new Promise<void>((resolve) => view.onLook(() => resolve()));
    expect(view.lost).to.equal(true);
  });

  it('is lost at once when the file of the database was replaced', async () => {
    copyFileSync(file.path, `${file.path}.copy`);
    renameSync(`${file.path}.copy`, file.path);
    await rejection(view.refresh(), 'database_replaced');
    expect(view.lost).to.equal(true);
    await rejection(store.ping(), 'database_replaced');
  });

  it('keeps our former identities while the new ones cannot be read, and takes them once they can', async () => {
    const former = own;
    let readable = false;
    const entries: string[] = [];
    const log = { ...silentLogger, error: (_: object, text: string) => entries.push(text) } as unknown as Logger;
    const loadIdentities = async () => {
      if (own === former || readable) return own;
      throw new AllianceError('configuration', { field: 'identity.key_file' });
    };
    const other = new TrustView({ store, clock, log, loadIdentities });
    await other.start();
    own = [{ identity: makeIdentity('east'), sequence: 2, overlapTill: null }];
    await add('west');
    await other.refresh();
    await other.refresh();
    expect([other.current.sequence, other.lost, entries.length]).to.deep.equal([1, false, 1]);
    expect(other.partnerByCloudId('west')?.state).to.equal('active');
    readable = true;
    await other.refresh();
    expect(other.current.sequence).to.equal(2);
    other.stop();
  });

  it('looks no more once it is stopped', async () => {
    view.stop();
    let looks = 0;
    view.onLook(() => looks++);
    await new Promise((resolve) => setTimeout(resolve, trustLimits.epochPollMs + 100));
    expect(looks).to.equal(0);
  });
});
