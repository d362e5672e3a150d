/** Every type of the contract, for the floors above: they import nothing from gen. */
export * from '../gen/AllianceService_types.js';
export { type Int64, toInt64, toNumber } from './int64.ts';
