import { heldOf, makeCheckpoint, receiveCheckpoint } from '../../rproxy/audit.ts';
import type { PartnerHandler } from '../context.ts';

/** Keeps the caller's checkpoint, and answers with ours and with what was held of the caller's before. */
export const exchangeCheckpoint: PartnerHandler<'exchangeCheckpoint'> = async (context, checkpoint, { partner }) => {
  const before = await heldOf(context, partner);
  await receiveCheckpoint(context, partner, checkpoint);
  const head = await context.auditHead();
  return context.sign(() => makeCheckpoint(context, partner, { head, seen: before }));
};
