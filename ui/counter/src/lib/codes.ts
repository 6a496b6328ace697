/** The words that Rust hands over, held to those that have their sentences: one without does not compile here. */

import type { ExceptionCode, ProblemCode, ReasonCode } from '@counterfoil/shared/words';
import * as rust from './backend/bindings';

export const PROBLEM_CODES: readonly ProblemCode[] = rust.PROBLEM_CODES;
export const REASON_CODES: readonly ReasonCode[] = rust.REASON_CODES;
/** How a delivered operation may end in the queue: the exceptions, and the reasons for setting it aside. */
export const EXCEPTION_CODES: readonly ExceptionCode[] = rust.EXCEPTION_CODES;
/** Those of a quote are said in few words, see `basket/reasons.ts`. */
export const QUOTE_CODES = rust.QUOTE_REASON_CODES;
