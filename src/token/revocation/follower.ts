/**
 * Follows the revocations of every active provider: one long poll each, begun again as soon as it is answered. What it reads becomes
 * marks; where it stands is stored, so that the next process reads on from there.
 */
import type { ClientPool } from '../../client/pool.ts';
import type { TrustView } from '../../client/trustView.ts';
import { type Clock, monotonic } from '../../core/clock.ts';
import { type Config, partnerConfig } from '../../core/config.ts';
import { toAllianceError } from '../../core/errors.ts';
import type { PartnerUid } from '../../core/ids.ts';
import { revocationLimits as limits } from '../../core/limits.ts';
import type { Logger } from '../../core/log.ts';
import { RefusalLog } from '../../core/refusalLog.ts';
import type { Telemetry } from '../../core/telemetry.ts';
import type { Follower } from '../../model/follower.ts';
import type { Partner } from '../../model/partner.ts';
import type { Store } from '../../model/store.ts';
import { type RemotePage, readRevocations } from '../../rproxy/tokens.ts';
import type { RevocationMarks } from './marks.ts';
import { Pause } from './pause.ts';
import { pseudonymsOf } from './pseudonyms.ts';

export interface FollowerOptions {
  readonly pool: ClientPool;
  readonly view: TrustView;
  readonly store: Pick<Store, 'followers'>;
  readonly config: () => Config;
  readonly clock: Clock;
  readonly log: Logger;
  readonly telemetry: Telemetry;
  readonly marks: RevocationMarks;
}

export interface Followers {
  /** There is probably something to read: a follower that waits after a failure reads now. */
  wake(partnerUid: PartnerUid): void;
  /** Sequence up to which the partner's revocations are known; null: none yet. */
  head(partnerUid: PartnerUid): number | null;
  stop(): Promise<void>;
}

export function startFollowers(options: FollowerOptions): Followers {
  const { view, store, marks, log } = options;
  const running = new Map<PartnerUid, PartnerFollower>();
  /** Those that end; nothing is closed before them. */
  const ending = new Set<Promise<void>>();
  let stopped = false;

  const end = (uid: PartnerUid, follower: PartnerFollower): void => {
    running.delete(uid);
    const ended = follower.stop().finally(() => ending.delete(ended));
    ending.add(ended);
  };
  const look = (): void => {
    if (stopped) return;
    for (const partner of view.partners)
      if (isFollowed(view, partner) && !running.has(partner.uid))
        running.set(partner.uid, new PartnerFollower(partner, options));
    for (const [uid, follower] of running) {
      const partner = view.partnerByUid(uid);
      if (partner && isFollowed(view, partner)) continue;
      end(uid, follower);
      if (!partner) marks.dropAll(uid);
      else marks.confirm(uid, null);
    }
  };
  const save = async (): Promise<void> => {
    const changed = [...running.values()].flatMap((follower) => follower.takeChanged() ?? []);
    if (changed.length > 0) await store.followers.save(changed);
  };
  const saving = setInterval(() => {
    save().catch((error: unknown) => log.warn({ err: error }, 'How far revocations were read is not stored.'));
  }, limits.saveEveryMs);
  saving.unref();
  view.onLook(look);
  look();

  return {
    wake: (uid) => running.get(uid)?.wake(),
    head: (uid) => running.get(uid)?.cursor ?? null,
    stop: async () => {
      stopped = true;
      clearInterval(saving);
      const last = [...running];
      for (const [uid, follower] of last) end(uid, follower);
      await Promise.all(ending);
      const states = last.flatMap(([, follower]) => follower.takeChanged() ?? []);
      await store.followers
        .save(states)
        .catch((error: unknown) => log.warn({ err: error }, 'A last state is not stored.'));
    },
  };
}

const isFollowed = (view: TrustView, partner: Partner): boolean =>
  partner.role !== 'consumer' && view.stateOf(partner) === 'active' && !view.lost;

class PartnerFollower {
  readonly #uid: PartnerUid;
  readonly #options: FollowerOptions;
  readonly #pause = new Pause();
  readonly #unreadable = new RefusalLog(1);
  readonly #ended: Promise<undefined>;
  readonly #loop: Promise<void>;
  #end: () => void = () => undefined;
  /** null: from wherever the partner's revocations end when it is first asked. */
  #cursor: number | null = null;
  #head = 0;
  #confirmedAt: number | null = null;
  #lastError: string | null = null;
  #changed = false;
  #failures = 0;
  #stopped = false;

  constructor({ uid, cloudId }: Partner, options: FollowerOptions) {
    this.#uid = uid;
    this.#options = options;
    options.marks.readAs(uid, pseudonymsOf(options.view.cloudId, cloudId));
    this.#ended = new Promise((resolve) => {
      this.#end = () => resolve(undefined);
    });
    this.#loop = this.#run();
  }

  get cursor(): number | null {
    return this.#cursor;
  }

  wake(): void {
    this.#pause.wake();
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    this.#pause.end();
    this.#end();
    await this.#loop;
  }

  /** What is to be stored, if it is other than at the last call. */
  takeChanged(): Follower | undefined {
    if (!this.#changed || this.#cursor === null) return undefined;
    this.#changed = false;
    return {
      partnerUid: this.#uid,
      cursor: this.#cursor,
      head: this.#head,
      confirmedAt: this.#confirmedAt,
      lastError: this.#lastError,
      updatedAt: this.#options.clock.now(),
    };
  }

  async #run(): Promise<void> {
    let isLoaded = false;
    while (!this.#stopped)
      try {
        if (!isLoaded) await this.#load();
        isLoaded = true;
        const startedAt = performance.now();
        const sentAt = monotonic(this.#options.clock);
        const page = await this.#ask();
        if (this.#stopped || !page) return;
        if (!this.#take(page, sentAt)) throw tooMany;
        this.#failures = 0;
        await this.#pause.wait(restAfter(page) - (performance.now() - startedAt), limits.retryMinMs);
      } catch (thrown) {
        if (this.#stopped) return;
        await this.#pause.wait(this.#failed(thrown), limits.retryMinMs);
      }
  }

  async #load(): Promise<void> {
    const known = await this.#options.store.followers.get(this.#uid);
    if (!known) return;
    this.#cursor = known.cursor;
    this.#head = known.head;
    this.#confirmedAt = known.confirmedAt;
  }

  /** undefined: this follower has ended, and the call, which cannot be taken back, is nobody's any more. */
  async #ask(): Promise<RemotePage | undefined> {
    const { pool, view, config } = this.#options;
    const partner = view.partnerByUid(this.#uid)!;
    const waitMs = this.#cursor === null ? 0 : limits.waitMs;
    const query = {
      after: this.#cursor ?? -1,
      waitMs,
      limit: limits.pageRows,
      announceTokens: partnerConfig(config(), partner.cloudId).announceTokens,
    };
    const asked = readRevocations(pool, partner, query, { timeoutMs: waitMs + limits.answerMs });
    return Promise.race([asked, this.#ended]);
  }

  /** False when there was more than fits. */
  #take({ revocations, next, head, gap, ageMs }: RemotePage, sentAt: number): boolean {
    const { marks } = this.#options;
    this.#changed = true;
    this.#head = head;
    this.#lastError = null;
    if (gap) {
      this.#beginAnew();
      return true;
    }
    // Whatever was asked before this page may be older than a revocation that is not in it.
    if (this.#cursor === null) marks.dropAll(this.#uid);
    const readable = revocations.flatMap(({ event }) => event ?? []);
    if (!readable.every((event) => marks.note(this.#uid, event))) {
      this.#beginAnew();
      return false;
    }
    if (readable.length < revocations.length) this.#stepOver(revocations.length - readable.length);
    this.#cursor = next;
    if (next < head) return true;
    marks.confirm(this.#uid, ageMs === null ? null : sentAt - ageMs);
    const confirmedAt = marks.confirmedAt(this.#uid);
    if (confirmedAt !== null) this.#confirmedAt = Math.floor(confirmedAt);
    return true;
  }

  /** Any token may be meant by a revocation that cannot be read; those behind it are read all the same. */
  #stepOver(count: number): void {
    const { marks, view, telemetry, clock, log } = this.#options;
    marks.dropAnswers(this.#uid);
    const now = monotonic(clock);
    for (let n = 0; n < count; n += 1) {
      telemetry.refusal('revocation_unreadable');
      const since = this.#unreadable.note(this.#uid, now);
      const partner = view.partnerByUid(this.#uid)?.cloudId;
      if (since > 0) log.warn({ partner, count: since }, 'A revocation of the partner cannot be read.');
    }
  }

  /** What was between is lost: nothing that is remembered counts, and from where the partner's revocations end now they are followed. */
  #beginAnew(): void {
    this.#options.marks.dropAll(this.#uid);
    this.#cursor = null;
  }

  /** Notes the failure and returns how long to wait. */
  #failed(thrown: unknown): number {
    const { log, view } = this.#options;
    const error = toAllianceError(thrown);
    this.#failures += 1;
    if (this.#lastError !== error.errorName) {
      const partner = view.partnerByUid(this.#uid)?.cloudId;
      log.info({ partner, err: error }, 'Revocations of the partner cannot be read.');
    }
    this.#lastError = error.errorName;
    this.#changed = true;
    const growing = Math.min(limits.retryMinMs * 2 ** (this.#failures - 1), limits.retryMaxMs);
    const waitMs = Math.max(growing, Math.min(error.retryAfterMs ?? 0, limits.retryMaxMs));
    return waitMs * (0.75 + Math.random() / 4);
  }
}

const tooMany = new Error('The partner has more revocations than fit.');

/** A partner that answers before its time is not asked again at once. */
function restAfter({ revocations, gap }: RemotePage): number {
  return gap || revocations.length === 0 ? limits.emptyPauseMs : limits.fewPauseMs;
}
