import { makeCheckpoint, receiveCheckpoint } from '../../rproxy/audit.ts';
import type { PartnerHandler } from '../context.ts';

/** Keeps the caller's checkpoint, and answers with ours. */
export const exchangeCheckpoint: PartnerHandler<'exchangeCheckpoint'> = async (context, checkpoint, { partner }) => {
  await receiveCheckpoint(context, partner, checkpoint);
  return context.sign(() => makeCheckpoint(context, partner));
};
