// Places in the log. Whoever orders by them compares the number behind the last dot, which grows in commit
// order while the log is not replaced; when it is, a reset says so and everything is loaded anew.
import type { Cursor } from './types.js';

export const offsetOf = (cursor: Cursor): number => Number(cursor.slice(cursor.lastIndexOf('.') + 1));
export const isAfter = (a: Cursor, b: Cursor): boolean => offsetOf(a) > offsetOf(b);
