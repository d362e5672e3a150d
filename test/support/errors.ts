/** Catching of refusals: the AllianceError that something throws, with the name that was expected of it. */
import { expect } from 'chai';
import { AllianceError } from '../../src/core/errors.ts';
import type { ErrorName } from '../../src/core/errorTable.ts';

export function refusal(act: () => unknown, name: ErrorName): AllianceError {
  try {
    act();
  } catch (thrown) {
    return checked(thrown, name);
  }
  throw new Error(`expected ${name}, but nothing was thrown`);
}

export async function rejection(promise: Promise<unknown>, name: ErrorName): Promise<AllianceError> {
  let thrown: unknown;
  try {
    await promise;
  } catch (error) {
    thrown = error;
  }
  if (thrown === undefined) throw new Error(`expected ${name}, but it was fulfilled`);
  return checked(thrown, name);
}

function checked(thrown: unknown, name: ErrorName): AllianceError {
  if (!(thrown instanceof AllianceError)) throw thrown;
  expect(thrown.errorName).to.equal(name);
  return thrown;
}
