/** Every type of the contract, for the floors above: they import nothing from gen. */
export * from '../gen/AllianceService_types.js';
export { toInt64, toNumber } from './int64.ts';
