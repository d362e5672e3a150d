/** ['i32'], ['list', element], ['map', key, value], ['struct', name], ['enum', name]. */
export type TypeText = readonly [string, ...(string | TypeText)[]];
export interface FieldShape { readonly id: number; readonly name: string; readonly required: boolean; readonly type: TypeText }
/** A oneway method has no result. */
export interface MethodShape { readonly arguments: readonly FieldShape[]; readonly result: readonly FieldShape[] | undefined }
export declare const enums: Readonly<Record<string, readonly number[]>>;
export declare const structs: Readonly<Record<string, readonly FieldShape[]>>;
export declare const methods: Readonly<Record<string, MethodShape>>;
