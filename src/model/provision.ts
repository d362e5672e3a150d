/** Projects across clouds: made here for a partner (`in`), or made by a partner for this cloud (`out`). */
import type { CloudId, PartnerUid } from '../core/ids.ts';
import { provisionLimits } from '../core/limits.ts';
import type { Partner } from './partner.ts';

export const provisionDirections = ['in', 'out'] as const;
export type ProvisionDirection = (typeof provisionDirections)[number];

/**
 *     creating -> active -> off -> removing -> removed
 *     any of these but `removed` -> expired -> removed (of those that a partner made for us)
 *
 * `creating`: it counts already, but whether there is a project is not known yet. `off`: the trust in the partner has ended, the
 * project is switched off and waits for its removal. `expired`: it is over by our clock, which may be wrong, and its partner has not said
 * so; it can still be given back. `removed` and `expired` rows are kept for a while, so that a late repeat of a request makes no second
 * project.
 */
export type ProvisionState = 'creating' | 'active' | 'off' | 'removing' | 'expired' | 'removed';

/** Of those that count: they exist, or may exist. */
export const presentStates = ['creating', 'active', 'off', 'removing'] as const satisfies readonly ProvisionState[];

/** Of those that do not count any more, and are remembered for a while. */
export const endedStates = ['expired', 'removed'] as const satisfies readonly ProvisionState[];

/** What was asked for, word for word: a repeat must ask for the same. */
export interface ProvisionContent {
  readonly name: string;
  /** User of the asking cloud; null: all of its users. */
  readonly userId: string | null;
  /** Null: what the other side gives by default. */
  readonly roles: readonly string[] | null;
  /** UTC epoch milliseconds; null: as late as may be. */
  readonly expiresAt: number | null;
}

export interface Provision {
  readonly id: string;
  readonly direction: ProvisionDirection;
  readonly partnerUid: PartnerUid;
  readonly cloudId: CloudId;
  /** Chosen by the cloud that asks. */
  readonly requestId: string;
  readonly asked: ProvisionContent;
  readonly state: ProvisionState;
  /** What was granted. */
  readonly roles: readonly string[];
  /** Null in a request of ours that was not answered yet. */
  readonly domainId: string | null;
  /** Null while it is not known. */
  readonly projectId: string | null;
  /** When it is to be removed; null: when it is asked for. */
  readonly expiresAt: number | null;
  /** When its removal was announced. */
  readonly noticedAt: number | null;
  /** Why the last attempt at it failed. */
  readonly lastError: string | null;
  readonly createdAt: number;
  readonly updatedAt: number;
}

export interface NewProvision extends Pick<Provision, 'direction' | 'requestId' | 'asked' | 'roles' | 'domainId'> {
  readonly expiresAt: number | null;
}

/** A project that a foreign user has roles in. */
export interface GrantedProject {
  readonly projectId: string;
  readonly name: string;
  readonly domainId: string;
  readonly roles: readonly string[];
}

/** From when on people are told of its end; null where it has none. */
export function announcedFrom({ expiresAt, createdAt }: Pick<Provision, 'expiresAt' | 'createdAt'>): number | null {
  return expiresAt === null ? null : expiresAt - Math.min(provisionLimits.noticeMs, expiresAt - createdAt);
}

/** When it was announced to our people; null where it was not, or by a clock that was far ahead of what it shows now. */
export const announcedAt = ({ noticedAt }: Pick<Provision, 'noticedAt'>, now: number): number | null =>
  noticedAt !== null && noticedAt <= now + provisionLimits.noticeMs ? noticedAt : null;

/** When it is removed; a broker that was down when it should have announced that does so late, and gives as much time as else. */
export function removalOf(
  provision: Pick<Provision, 'direction' | 'expiresAt' | 'createdAt' | 'noticedAt'>,
): number | null {
  const { direction, expiresAt, noticedAt } = provision;
  const announced = announcedFrom(provision);
  if (expiresAt === null || announced === null || noticedAt === null || direction === 'out') return expiresAt;
  return Math.max(expiresAt, noticedAt + (expiresAt - announced));
}

/** Whom a project here was made for. */
export type MadeFor = Pick<Provision, 'cloudId'> & Pick<ProvisionContent, 'userId'>;

/** Begins the tag of each project that was made here for a partner. */
export const requestTagPrefix = 'alliance-request:';

/** Who acts, for the audit: the partner, an operator of ours, or this broker by itself. */
export type ProvisionActor = 'partner' | 'operator' | 'broker';

export interface ProvisionQuery {
  readonly direction?: ProvisionDirection | undefined;
  /** Of this partner, and of former ones under its cloud_id. */
  readonly cloudId?: CloudId | undefined;
  readonly states?: readonly ProvisionState[] | undefined;
  /** Those that end at this time or earlier. */
  readonly endsBy?: number | undefined;
  /** Those that nobody got anywhere with since, or only by a clock that was ahead. */
  readonly quietSince?: number | undefined;
  /** At most so many. */
  readonly limit?: number | undefined;
}

/** Each change is one transaction with its record in the audit; those that find another state than they need change nothing. */
export interface Provisions {
  find(partnerUid: PartnerUid, direction: ProvisionDirection, requestId: string): Promise<Provision | null>;
  /** The same by Keystone's id of the project. */
  findProject(partnerUid: PartnerUid, direction: ProvisionDirection, projectId: string): Promise<Provision | null>;
  /** In the order in which they were asked for. */
  list(query?: ProvisionQuery): Promise<Provision[]>;
  /**
   * Stores a request before anything is made. Whatever is already stored under its request id is returned instead; the caller
   * compares. Throws provision_limit when `most` of the partner's count already.
   */
  reserve(partner: Pick<Partner, 'uid' | 'cloudId'>, provision: NewProvision, most: number): Promise<Provision>;
  /**
   * Stores what another database of this broker says, each as it stands there; where this one is further, it stays. Returns what
   * changed by that.
   */
  putBack(provisions: readonly Provision[]): Promise<Provision[]>;
  /** Says that somebody works on it, or has heard of it, now; false when it is not in that state any more. */
  touch(id: string, state?: 'creating' | 'active'): Promise<boolean>;
  /** The project is there. Null when that is known already. */
  activate(
    id: string,
    project: { projectId: string; domainId: string; roles?: readonly string[]; expiresAt?: number | null },
  ): Promise<Provision | null>;
  /** There is no project, and the request is forgotten. `updatedAt`: only if nobody worked on it since. */
  abandon(id: string, outcome: 'refused' | 'abandoned', updatedAt?: number): Promise<boolean>;
  /** Its removal was announced. */
  noticed(id: string): Promise<boolean>;
  /** It was switched off, and is to be removed at `removeAt` or when it expires, whichever comes first. */
  switchedOff(id: string, removeAt: number): Promise<boolean>;
  /** From now on it gives nobody access; false when it is gone or about to be. */
  beginRemoval(id: string, by: ProvisionActor): Promise<boolean>;
  /** It is gone. */
  endRemoval(id: string): Promise<void>;
  /** One that a partner made for us is over: by its time (`expired`), or because the partner says that it is not there (`removed`). */
  ended(id: string, outcome: 'expired' | 'gone'): Promise<boolean>;
  fail(id: string, error: string): Promise<void>;
  /** Projects of one user of a partner: only active ones that have not expired. */
  projectsFor(partnerUid: PartnerUid, userId: string, now: number): Promise<GrantedProject[]>;
  /** By Keystone's id, until it is gone; null: it is none of those that were made here for partners. */
  madeFor(projectId: string): Promise<MadeFor | null>;
  /** Forgets what was removed long ago. */
  prune(now: number): Promise<void>;
}
