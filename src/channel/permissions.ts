/**
 * Who may call what: method x direction x role x trust state, one table, default deny. Used where calls arrive and where they leave.
 * A partner's role is what the PARTNER is to us, so a consumer's calls arrive and a provider's are the ones we make.
 */
import { AllianceError } from '../core/errors.ts';
import type { MethodName } from '../wire/methods.ts';
import type { PartnerRole } from './pairing.ts';

interface Rule {
  readonly in: readonly PartnerRole[];
  readonly out: readonly PartnerRole[];
  readonly states: readonly string[];
}

const everyone: readonly PartnerRole[] = ['provider', 'consumer', 'both'];
const nobody: readonly PartnerRole[] = [];
const askedOfUs: readonly PartnerRole[] = ['consumer', 'both'];
const askedByUs: readonly PartnerRole[] = ['provider', 'both'];

const between: Rule = { in: everyone, out: everyone, states: ['active'] };
const evenPending: Rule = { in: everyone, out: everyone, states: ['pending', 'active'] };
const service: Rule = { in: askedOfUs, out: askedByUs, states: ['active'] };
/** What one who is asked tells those who ask, unasked. */
const notice: Rule = { in: askedByUs, out: askedOfUs, states: ['active'] };
/** Makes channels; never travels over one. */
const bootstrapOnly: Rule = { in: nobody, out: nobody, states: [] };

const rules: Readonly<Record<MethodName, Rule>> = {
  getSession: bootstrapOnly,
  attach: bootstrapOnly,
  pair: bootstrapOnly,
  ping: evenPending,
  getPairing: evenPending,
  endTrust: evenPending,
  getTrustBundle: between,
  updateIdentity: between,
  validateTokenHard: service,
  validateTokenSoft: service,
  authenticate: service,
  getServices: service,
  getEndpoints: service,
  revokeToken: service,
  getRevocations: service,
  claimToken: service,
  provision: service,
  deprovision: service,
  listImages: service,
  getImage: service,
  readImageData: service,
  createImage: service,
  writeImageData: service,
  updateImage: service,
  deleteImage: service,
  popToken: notice,
  pushToken: notice,
  exchangeCheckpoint: between,
};

/** Whether a partner in this state may hold a channel at all. */
export const mayAttach = (state: string): boolean => state === 'active' || state === 'pending';

/** Throws `partner_not_active` or `forbidden`. */
export function authorise(
  method: MethodName,
  direction: 'in' | 'out',
  partner: { readonly cloudId: string; readonly role: PartnerRole },
  state: string,
): void {
  const rule = rules[method];
  if (!rule[direction].includes(partner.role))
    throw new AllianceError('forbidden', {
      details:
        direction === 'in'
          ? `${method} is for other roles than "${partner.role}".`
          : `${partner.cloudId} is a ${partner.role} here, and ${method} is asked of providers.`,
    });
  if (!rule.states.includes(state))
    throw new AllianceError('partner_not_active', { details: `${partner.cloudId} is ${state}.` });
}
