/** `node --import=tsx scripts/vectors.mjs`: writes test/vectors/*.json anew. Only for a change of the protocol: other clients rely on them. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { makeSignatures } from '../test/support/vectorSignatures.ts';
import { makeVectors } from '../test/support/vectors.ts';

const folder = new URL('../test/vectors/', import.meta.url);
mkdirSync(folder, { recursive: true });
const vectors = await makeVectors();
vectors.tickets.signatures = await makeSignatures();
for (const [name, vector] of Object.entries(vectors))
  writeFileSync(new URL(`${name}.json`, folder), `${JSON.stringify(vector, null, 2)}\n`);
