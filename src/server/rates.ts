/** Token buckets of the server, by what they count. */
import { connectionLimits, partnerLimits } from '../core/limits.ts';
import { type RateOptions, Rates } from '../core/rates.ts';

/** Users by partner, of whom there are as many as operators let in. A partner names whom it likes, so it has a number of its own. */
export class UserRates {
  readonly #partners = new Map<string, Rates>();
  readonly #usersPerPartner: number;

  constructor(usersPerPartner: number = partnerLimits.trackedUsers) {
    this.#usersPerPartner = usersPerPartner;
  }

  /** As `Rates.take`. */
  take(partnerUid: string, user: string, rate: RateOptions, now: number): number {
    let users = this.#partners.get(partnerUid);
    if (!users) {
      users = new Rates(this.#usersPerPartner);
      this.#partners.set(partnerUid, users);
    }
    return users.take(user, rate, now);
  }
}

/** Apart, so that no stranger and no user's name can make a partner's bucket be forgotten. */
export interface ServerRates {
  /** Keys are kinds of calls with addresses. */
  readonly addresses: Rates;
  /** Keys are kinds of use with uids of partners. */
  readonly partners: Rates;
  readonly users: UserRates;
}

export const createRates = (): ServerRates => ({
  addresses: new Rates(connectionLimits.trackedAddresses),
  partners: new Rates(partnerLimits.trackedPartners),
  users: new UserRates(),
});
