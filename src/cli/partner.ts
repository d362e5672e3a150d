/** `alliance partner` */
import type { Command } from 'commander';
import type { Cli } from './cli.ts';
import { addGroup } from './group.ts';
import { addAccept } from './partnerAccept.ts';
import { addDoctor } from './partnerDoctor.ts';
import { addEnding } from './partnerEnd.ts';
import { addInvite } from './partnerInvite.ts';
import { addShowing } from './partnerShow.ts';
import { addTrust } from './partnerTrust.ts';

export function addPartner(program: Command, cli: Cli): void {
  const group = addGroup(program, 'partner', 'pair with other clouds, and manage the trust in them', 'partner list');
  for (const add of [addInvite, addAccept, addShowing, addTrust, addEnding, addDoctor]) add(group, cli);
}
