/** A partner's request for a project, from what it may ask for to the project. */
import { partnerConfig } from '../../core/config.ts';
import { AllianceError, toAllianceError } from '../../core/errors.ts';
import { provisionLimits } from '../../core/limits.ts';
import type { Keystone } from '../../lproxy/keystone.ts';
import type { Partner } from '../../model/partner.ts';
import type { Provision, ProvisionContent } from '../../model/provision.ts';
import type { ServerContext } from '../context.ts';
import { makeProject } from './projects.ts';
import { type ReadProvision, sameContent } from './request.ts';
import { domainIdOf, givenRoles, grantFor } from './rules.ts';

/** The same request gets the same project, whatever has become of the limits since. */
export async function provisionProject(
  context: ServerContext,
  keystone: Keystone,
  partner: Partner,
  { requestId, content, onlyKnown }: ReadProvision,
): Promise<Provision> {
  const { store } = context;
  try {
    const earlier = await store.provisions.find(partner.uid, 'in', requestId);
    if (!earlier && onlyKnown) throw new AllianceError('project_not_found');
    const known = earlier ?? (await reserve(context, keystone, partner, { requestId, content }));
    assertSame(known, content);
    return assertThere(known.state === 'creating' ? await makeProject(store, keystone, known) : known);
  } catch (thrown) {
    const { errorName: outcome, retryable } = toAllianceError(thrown);
    // Each of them, for there are few (limitRequests), and each tells what was tried.
    if (!retryable)
      await store.audit.append({
        kind: 'provisioning',
        actor: 'partner',
        partner: partner.cloudId,
        subject: content.name,
        outcome,
        rule: null,
        requestId,
        details: { user_id: content.userId, roles: content.roles },
      });
    throw thrown;
  }
}

async function reserve(
  { store, config, clock, log }: ServerContext,
  keystone: Keystone,
  partner: Partner,
  { requestId, content }: Omit<ReadProvision, 'onlyKnown'>,
): Promise<Provision> {
  const { provision: limits } = partnerConfig(config(), partner.cloudId);
  const { tokens } = config();
  if (limits.projects === 0) throw new AllianceError('provision_off');
  const grant = grantFor(limits, tokens, content, clock.now());
  const roles = await givenRoles(keystone, tokens, grant.roles, content.roles !== null);
  const domainId = await domainIdOf(keystone, limits.domain);
  if (domainId === undefined) {
    // The partner can do nothing about it, and learns no names of domains.
    const details = `partners.${partner.cloudId}.provision.domain: there is no domain ${limits.domain}, or it is switched off.`;
    log.warn({ partner: partner.cloudId }, `No projects can be made for a partner: ${details}`);
    throw new AllianceError('provision_off', { details });
  }
  const request = { direction: 'in', requestId, asked: content, roles, domainId, expiresAt: grant.expiresAt } as const;
  return store.provisions.reserve(partner, request, limits.projects);
}

function assertSame({ asked }: Provision, content: ProvisionContent): void {
  const details = 'This request_id was used for another request.';
  if (!sameContent(asked, content)) throw new AllianceError('bad_request', { field: 'request_id', details });
}

function assertThere(provision: Provision): Provision {
  const details = 'The project of this request was removed.';
  if (provision.state !== 'active') throw new AllianceError('project_not_found', { details });
  return provision;
}

/** Whatever comes of a request, it costs Keystone and the audit something. @throws AllianceError rate_limited */
export function limitRequests({ rates, clock }: ServerContext, { uid }: Partner): void {
  const { burst, everyMs } = provisionLimits;
  const retryAfterMs = rates.partners.take(`provision:${uid}`, { perS: 1000 / everyMs, burst }, clock.now());
  if (retryAfterMs > 0) throw new AllianceError('rate_limited', { retryAfterMs, details: 'Too many projects.' });
}
