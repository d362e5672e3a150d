/** One handler for each RPC, by its name. */

import { AllianceError } from '../../core/errors.ts';
import type { MethodName } from '../../wire/methods.ts';
import type { Handler, InboundCall, PartnerCall, PartnerHandler } from '../context.ts';
import { attach } from './attach.ts';
import { authenticate } from './authenticate.ts';
import { claimToken } from './claimToken.ts';
import { createImage } from './createImage.ts';
import { deleteImage } from './deleteImage.ts';
import { deprovision } from './deprovision.ts';
import { endTrust } from './endTrust.ts';
import { exchangeCheckpoint } from './exchangeCheckpoint.ts';
import { getEndpoints } from './getEndpoints.ts';
import { getImage } from './getImage.ts';
import { getPairing } from './getPairing.ts';
import { getRevocations } from './getRevocations.ts';
import { getServices } from './getServices.ts';
import { getSession } from './getSession.ts';
import { getTrustBundle } from './getTrustBundle.ts';
import { listImages } from './listImages.ts';
import { pair } from './pair.ts';
import { ping } from './ping.ts';
import { popToken } from './popToken.ts';
import { provision } from './provision.ts';
import { pushToken } from './pushToken.ts';
import { readImageData } from './readImageData.ts';
import { revokeToken } from './revokeToken.ts';
import { updateIdentity } from './updateIdentity.ts';
import { updateImage } from './updateImage.ts';
import { validateTokenHard } from './validateTokenHard.ts';
import { validateTokenSoft } from './validateTokenSoft.ts';
import { writeImageData } from './writeImageData.ts';

const isOfPartner = (call: InboundCall): call is PartnerCall =>
  call.partner !== undefined && call.channel !== undefined;

/** The types see to it that such a handler is only ever called with a partner; this sees to it at run time. */
function forPartners<M extends MethodName>(handler: PartnerHandler<M>): Handler<M> {
  return (context, argument, call) => {
    if (!isOfPartner(call)) throw new AllianceError('unauthenticated');
    return handler(context, argument, call);
  };
}

export const handlers: { readonly [M in MethodName]: Handler<M> } = {
  getSession,
  ping,
  pair,
  attach,
  getPairing: forPartners(getPairing),
  getTrustBundle: forPartners(getTrustBundle),
  updateIdentity: forPartners(updateIdentity),
  endTrust: forPartners(endTrust),
  validateTokenHard: forPartners(validateTokenHard),
  validateTokenSoft: forPartners(validateTokenSoft),
  authenticate: forPartners(authenticate),
  getServices: forPartners(getServices),
  getEndpoints: forPartners(getEndpoints),
  revokeToken: forPartners(revokeToken),
  getRevocations: forPartners(getRevocations),
  popToken: forPartners(popToken),
  pushToken: forPartners(pushToken),
  claimToken: forPartners(claimToken),
  provision: forPartners(provision),
  deprovision: forPartners(deprovision),
  exchangeCheckpoint: forPartners(exchangeCheckpoint),
  listImages: forPartners(listImages),
  getImage: forPartners(getImage),
  readImageData: forPartners(readImageData),
  createImage: forPartners(createImage),
  writeImageData: forPartners(writeImageData),
  updateImage: forPartners(updateImage),
  deleteImage: forPartners(deleteImage),
};
