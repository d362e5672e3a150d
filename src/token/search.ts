/** After this cloud's Keystone did not know a token: whose is it? What may be this cloud's own is brought to nobody else. */
import type { TrustView } from '../client/trustView.ts';
import { Bounded } from '../core/bounded.ts';
import type { Clock } from '../core/clock.ts';
import type { Config } from '../core/config.ts';
import { AllianceError } from '../core/errors.ts';
import { foreignLimits } from '../core/limits.ts';
import type { Keystone } from '../lproxy/keystone.ts';
import { readJws } from './routing/jws.ts';
import { isIssuedForm } from './routing/qualified.ts';
import type { LastOptions, Recognised, Router } from './routing/router.ts';
import { SearchRates } from './searchRates.ts';
import { SingleFlight } from './singleFlight.ts';

/** Whether this cloud's Keystone issued it and still knows that: expired, or one that not every service may use. */
export type IsLocal = (token: string) => Promise<boolean>;

/** As the broker's own user, in all the ways in which Keystone can be asked; throws where it does not say. */
export const askWhetherLocal =
  (keystone: Pick<Keystone, 'validateToken'>): IsLocal =>
  async (token) => {
    const answer = await keystone.validateToken(token, { catalog: false, allowExpired: true, accessRules: true });
    return answer.status === 'valid';
  };

export interface SearchOptions {
  readonly router: Router;
  readonly view: TrustView;
  readonly config: () => Config;
  readonly clock: Clock;
  /** Absent where there is no Keystone to ask. */
  readonly isLocal: IsLocal | undefined;
  /** Stands for a token. */
  readonly idOf: (token: string) => string;
  /** Monotonic, ms. */
  readonly now: () => number;
}

export interface Search {
  /** Whose it is known to be, without anybody being asked. Throws `overloaded`. */
  recall(token: string): Recognised | undefined;
  /** Throws `unreachable` where somebody may know it who does not tell, and what asking this cloud's Keystone throws. */
  find(token: string, last?: LastOptions): Promise<Recognised | undefined>;
  /** Whether it is this cloud's own, valid or not. Throws as Keystone's client does, and `overloaded`. */
  isOurs(token: string): Promise<boolean>;
}

export function createSearch(options: SearchOptions): Search {
  const { router, view, config, clock, isLocal, idOf, now } = options;
  const searches = new SingleFlight<Recognised | undefined>({ limits: foreignLimits, now });
  const rates = new SearchRates(now);
  /** Tokens that this cloud's Keystone has said it does not know in any way, and when. */
  const strangers = new Bounded<number>(foreignLimits.negativeEntries);

  const isStranger = (id: string): boolean =>
    isLocal === undefined || now() - (strangers.get(id) ?? Number.NEGATIVE_INFINITY) < config().tokens.cacheMs;

  const isOurs = async (token: string): Promise<boolean> => {
    if (router.isOwn(token)) return true;
    const id = idOf(token);
    if (isStranger(id)) return false;
    const askedAt = now();
    if (await isLocal?.(token)) return true;
    strangers.set(id, askedAt);
    return false;
  };

  /** By its own signed claim, whoever signed it. */
  const isOver = (token: string): boolean => (readJws(token)?.expiresAt ?? Number.POSITIVE_INFINITY) <= clock.now();

  /** Whether it counts whose it is known to be without this cloud's Keystone being asked once more. */
  const isSettled = (token: string, { by }: Recognised): boolean =>
    (by === 'jws' && router.signedFirst) || isStranger(idOf(token));

  return {
    isOurs,

    recall: (token) => {
      if (router.isOwn(token)) return undefined;
      const known = router.known(token);
      return known && known !== 'unusable' && isSettled(token, known) ? known : undefined;
    },

    find: async (token, last = {}) => {
      if (!isIssuedForm(token) || router.isOwn(token)) return undefined;
      const known = router.known(token);
      if (known === 'unusable') return undefined;
      if (known && isSettled(token, known)) return known;
      if (!known && (config().tokens.ask === 'none' || (!last.allowExpired && isOver(token)))) return undefined;
      if (view.lost) throw new AllianceError('unreachable', { details: 'The database does not answer.' });
      return searches.run(`${last.allowExpired ? '+' : '-'}${idOf(token)}`, async () => {
        if (!known) rates.take(last.caller);
        if (await isOurs(token)) return undefined;
        return known ?? router.last(token, last);
      });
    },
  };
}
