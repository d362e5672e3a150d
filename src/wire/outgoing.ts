/**
 * Checks what leaves before generated code writes it. That code leaves out a required member that is absent, and writes any number for
 * an enum and any length of a list, for the receiver to refuse. All else is known by then: its constructors give each member its class,
 * and the writer refuses values of another type.
 */
import { wireLimits } from '../core/limits.ts';
import { malformed } from './compactTypes.ts';
import type { StructShape, ValueShape } from './shape.ts';

/** Throws wire_malformed, naming the field. */
export function checkOutgoing(struct: object, { members, required }: StructShape): void {
  for (const member of members) {
    if (member === undefined) continue;
    const value: unknown = struct[member.name as keyof typeof struct];
    if (value !== undefined && value !== null) checkValue(value, member, member.name);
    else if ((required & member.bit) !== 0) throw malformed(`${member.name} is missing.`, member.name);
  }
}

function checkValue(value: unknown, shape: ValueShape, name: string): void {
  if (shape.struct !== undefined) checkOutgoing(value as object, shape.struct);
  else if (shape.values !== undefined) {
    if (!shape.values.has(value as number)) throw malformed(`${name} has an unknown value.`, name);
  } else if (shape.elements !== undefined) checkElements(value as object, shape.elements, name);
}

/** Generated code holds lists and sets in arrays, and maps in objects, whose keys are texts whatever they stand for. */
function checkElements(container: object, elements: readonly ValueShape[], name: string): void {
  const values: unknown[] = Object.values(container);
  if (values.length > wireLimits.containerElements) throw malformed(`${name} has too many elements.`, name);
  const shape = elements.at(-1) as ValueShape;
  for (const value of values) checkValue(value, shape, name);
}
