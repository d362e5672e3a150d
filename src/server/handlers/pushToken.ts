import { partnerConfig } from '../../core/config.ts';
import { AllianceError } from '../../core/errors.ts';
import { toNumber } from '../../wire/types.ts';
import type { PartnerHandler } from '../context.ts';
import { assertHintBytes } from './tokens.ts';

/** Where a token may be asked about, from those who were asked to say. */
export const pushToken: PartnerHandler<'pushToken'> = async (context, { hint, expires_at }, { partner }) => {
  if (!partnerConfig(context.config(), partner.cloudId).announceTokens)
    throw new AllianceError('bad_request', { details: 'Nobody asked for announcements.' });
  assertHintBytes(hint, 'hint');
  context.hints.announced(partner, hint, toNumber(expires_at));
};
